// Sparkplug payloads read by sparkplug-payload. Each line on stdin is one payload in hex; each answer is one
// line of JSON. 64-bit numbers are answered as text, so that nothing is rounded on the way.
"use strict";
const path = require("node:path");
const readline = require("node:readline");
const { createRequire } = require("node:module");
const from = createRequire(path.join(process.env.NODE_CACHE, "package.json"));
const sparkplug = from("sparkplug-payload").get("spBv1.0");
const Long = from("long");

function plain(key, value) {
  if (Long.isLong(value)) return `long ${value.toString()}`;
  return value;
}

// JSON.stringify asks toJSON first, and Long has none: the replacer above sees the object itself.
console.log(JSON.stringify({ ready: true }));
readline.createInterface({ input: process.stdin }).on("line", (line) => {
  try {
    console.log(JSON.stringify(sparkplug.decodePayload(Buffer.from(line, "hex")), plain));
  } catch (error) {
    console.log(JSON.stringify({ error: String(error) }));
  }
});
