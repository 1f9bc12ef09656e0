// An OPC UA server by node-opcua, security on. Arguments: port, folder for its certificates.
// Prints one line of JSON when it is ready: its port and the file of its certificate.
"use strict";
const path = require("node:path");
const { createRequire } = require("node:module");
const from = createRequire(path.join(process.env.NODE_CACHE, "package.json"));
const opcua = from("node-opcua-server");
const { DataType, Variant, VariantArrayType } = from("node-opcua-variant");
const { StatusCodes } = from("node-opcua-status-code");
const { DataValue } = from("node-opcua-data-value");
const { MessageSecurityMode } = from("node-opcua-service-secure-channel");
const { SecurityPolicy } = from("node-opcua-secure-channel");
const { OPCUACertificateManager } = from("node-opcua-certificate-manager");

const URI = "urn:lineside:interop";
const VALUES = [
  ["Bool", DataType.Boolean, true],
  ["Int16", DataType.Int16, -12345],
  ["UInt16", DataType.UInt16, 54321],
  ["Int32", DataType.Int32, -123456789],
  ["UInt32", DataType.UInt32, 3123456789],
  ["Int64", DataType.Int64, [0xffffffff, 0xfffffffe]],
  ["UInt64", DataType.UInt64, [0x12345678, 0x9abcdef0]],
  ["Float", DataType.Float, 1.5],
  ["Double", DataType.Double, 0.1],
  ["String", DataType.String, "窑炉 1"],
];

async function main() {
  const folder = process.argv[3];
  const manager = new OPCUACertificateManager({
    automaticallyAcceptUnknownCertificate: true,
    rootFolder: path.join(folder, "pki"),
  });
  await manager.initialize();
  const server = new opcua.OPCUAServer({
    port: Number(process.argv[2]),
    hostname: "127.0.0.1",
    alternateHostname: ["127.0.0.1", "localhost"],
    serverInfo: { applicationUri: "urn:lineside:interop:server" },
    serverCertificateManager: manager,
    securityPolicies: [SecurityPolicy.Basic256Sha256],
    securityModes: [MessageSecurityMode.SignAndEncrypt],
    allowAnonymous: true,
    userManager: { isValidUser: (user, password) => user === "operator" && password === "correct horse" },
  });
  await server.initialize();
  const space = server.engine.addressSpace;
  const namespace = space.registerNamespace(URI);
  const folderNode = namespace.addFolder(space.rootFolder.objects, { browseName: "Press" });
  for (const [name, dataType, value] of VALUES) {
    namespace.addVariable({
      componentOf: folderNode, browseName: name, nodeId: `s=Press.${name}`, dataType,
      value: { dataType, arrayType: VariantArrayType.Scalar, value },
    });
  }
  namespace.addVariable({
    componentOf: folderNode, browseName: "Broken", nodeId: "s=Press.Broken", dataType: DataType.Double,
    value: { timestamped_get: () => new DataValue({ statusCode: StatusCodes.BadSensorFailure }) },
  });
  let count = 0;
  namespace.addVariable({
    componentOf: folderNode, browseName: "Counter", nodeId: "s=Press.Counter", dataType: DataType.UInt32,
    minimumSamplingInterval: 50,
    value: { get: () => new Variant({ dataType: DataType.UInt32, value: ++count }) },
  });
  const setpoint = namespace.addVariable({
    componentOf: folderNode, browseName: "Setpoint", nodeId: "s=Press.Setpoint", dataType: DataType.Double,
    accessLevel: "CurrentRead | CurrentWrite", userAccessLevel: "CurrentRead | CurrentWrite",
    value: { dataType: DataType.Double, value: 0.4 },
  });
  namespace.addVariable({
    componentOf: folderNode, browseName: "Zones", nodeId: "s=Press.Zones", dataType: DataType.Float, valueRank: 1,
    value: { dataType: DataType.Float, arrayType: VariantArrayType.Array, value: new Float32Array([1, 2.5, -3]) },
  });
  await server.start();
  setpoint.on("value_changed", (value) => console.log(JSON.stringify({ written: value.value.value })));
  process.on("SIGTERM", () => server.shutdown(0).then(() => process.exit(0)));
  console.log(JSON.stringify({ port: server.endpoints[0].port, certificate: server.certificateFile }));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
