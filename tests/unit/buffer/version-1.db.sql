BEGIN TRANSACTION;
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
CREATE TABLE "meta" (
   "name" TEXT PRIMARY KEY,
   "value" TEXT
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
INSERT INTO "position" VALUES('',6,0,'[]',3,45,0,0,0,0,0,0);
INSERT INTO "position" VALUES('park',6,1,'[]',3,45,1,15,0,0,0,0);
CREATE TABLE "quarantine" (
   "uplink" TEXT,
   "seq" INTEGER,
   "reason" TEXT,
   "at_ns" INTEGER,
   "n_samples" INTEGER,
   PRIMARY KEY ("uplink", "seq")
);
CREATE TABLE "run" (
   "epoch" INTEGER PRIMARY KEY,
   "boot_id" TEXT,
   "started_ns" INTEGER,
   "clean" INTEGER
);
INSERT INTO "run" VALUES(1,'manual',1767225600000000000,1);
CREATE TABLE "schema" (
   "digest" TEXT PRIMARY KEY,
   "body" TEXT
);
INSERT INTO "schema" VALUES('90642887398cdab8','{"device": "press-1", "group": "fast", "config_version": "c0ffee", "names": ["t0", "t1", "t2"], "types": ["uint16", "float32", "int64"], "units": ["", "", ""], "scaling": [null, null, null]}');
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
INSERT INTO "segment" VALUES(1,1,'90642887398cdab8',1767225601000000000,1767225605000000000,1001000000000,2,5,15,1,72691763,X'010005000000030000000B0000000200CA94295272861800DA3F10E900000063604001A7665953C207006362626262200A3434D43332303041D50300');
INSERT INTO "segment" VALUES(2,1,'90642887398cdab8',1767225606000000000,1767225610000000000,1006000000000,2,5,15,1,4126660173,X'01000500000003000000120000000200BC9A535372861800CC453AEA00000063658081050EAC0C0CA7665933200312F9006362626262200238383828806826A87A00');
INSERT INTO "segment" VALUES(3,1,'90642887398cdab8',1767225611000000000,1767225615000000000,1011000000000,2,5,15,1,1784582976,X'01000500000003000000120000000200AEA07D5472861800BE4B64EB000000E362800105472E068653B3AC199001897C0063626262622002280001886682AA0700');
COMMIT;
