CREATE TABLE "meta" (
   "name" TEXT PRIMARY KEY,
   "value" TEXT
);
CREATE TABLE "run" (
   "epoch" INTEGER PRIMARY KEY,
   "boot_id" TEXT,
   "started_ns" INTEGER,
   "clean" INTEGER
);
CREATE TABLE "position" (
   "uplink" TEXT PRIMARY KEY,
   "revision" INTEGER,
   "settled_to" INTEGER,
   "ranges" TEXT,
   "committed_segments" INTEGER,
   "committed_samples" INTEGER,
   "acknowledged_segments" INTEGER,
   "acknowledged_samples" INTEGER,
   "quarantined_segments" INTEGER,
   "quarantined_samples" INTEGER,
   "lost_segments" INTEGER,
   "lost_samples" INTEGER
);
CREATE TABLE "quarantine" (
   "uplink" TEXT,
   "seq" INTEGER,
   "reason" TEXT,
   "at_ns" INTEGER,
   "n_samples" INTEGER,
   PRIMARY KEY ("uplink", "seq")
);
CREATE TABLE "loss" (
   "id" INTEGER PRIMARY KEY,
   "epoch" INTEGER,
   "from_seq" INTEGER,
   "to_seq" INTEGER,
   "uplink" TEXT,
   "n_samples" INTEGER,
   "reason" TEXT,
   "t0_ns" INTEGER,
   "t1_ns" INTEGER,
   "reported" INTEGER
);
CREATE TABLE "schema" (
   "digest" TEXT PRIMARY KEY,
   "body" TEXT
);
CREATE TABLE "segment" (
   "seq" INTEGER PRIMARY KEY,
   "epoch" INTEGER,
   "schema" TEXT,
   "t0_ns" INTEGER,
   "t1_ns" INTEGER,
   "mono0_ns" INTEGER,
   "clock" INTEGER,
   "n_rows" INTEGER,
   "n_samples" INTEGER,
   "codec" INTEGER,
   "crc32" INTEGER,
   "body" BLOB
);
CREATE TABLE "offset" (
   "boot_id" TEXT PRIMARY KEY,
   "first_ns" INTEGER,
   "mono_ns" INTEGER,
   "utc_ns" INTEGER,
   "was_ns" INTEGER,
   "released" INTEGER,
   "reported" INTEGER,
   "epochs" TEXT
);
