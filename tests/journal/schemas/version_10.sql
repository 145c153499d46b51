BEGIN TRANSACTION;
CREATE TABLE attempts (
	batch_id VARCHAR NOT NULL, 
	number INTEGER NOT NULL, 
	retried_at FLOAT NOT NULL, 
	state VARCHAR NOT NULL, 
	execution_id VARCHAR, 
	triggered_at FLOAT, 
	message TEXT NOT NULL, 
	result BLOB, 
	PRIMARY KEY (batch_id, number, retried_at), 
	FOREIGN KEY(batch_id) REFERENCES batches (id) ON DELETE CASCADE
);
CREATE TABLE batches (
	id VARCHAR NOT NULL, 
	fingerprint VARCHAR NOT NULL, 
	created_at FLOAT NOT NULL, 
	updated_at FLOAT NOT NULL, 
	workflow TEXT NOT NULL, 
	source TEXT NOT NULL, 
	header TEXT NOT NULL, 
	roles TEXT NOT NULL, 
	parameters TEXT NOT NULL, 
	base_url VARCHAR NOT NULL, 
	estimated_seconds FLOAT NOT NULL, 
	estimated_requests INTEGER NOT NULL, 
	requests INTEGER NOT NULL, 
	worked_seconds FLOAT NOT NULL, 
	quota_seconds FLOAT NOT NULL, 
	output TEXT, 
	note TEXT NOT NULL, 
	profile VARCHAR, 
	form TEXT NOT NULL, 
	key_hash VARCHAR, 
	list_formats BLOB, 
	resume_at FLOAT, 
	target TEXT, 
	invalid INTEGER NOT NULL, 
	incomplete INTEGER NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "batches" VALUES('1129-key-accounts-1c4a','486bca6085bacdd82bc54477589709f780bdfb9994d3cadffc63f05dedd3b146',1.79593727624374294282e+09,1.79593727624374294282e+09,'{"id": "wf_1", "name": "Research", "description": "", "status": "active"}','{"name": "Key Accounts.csv", "path": null, "format": "dataframe", "sheet": null, "encoding": null, "delimiter": null, "header_line": null, "formats": [], "notices": []}','["Company ID", "Seats"]','{"company_id": 0}','{}','https://api.example.com/v1',52.0,7,0,0.0,0.0,NULL,'',NULL,'','9054e227808eae45b7ec2bc1b7e7d0ba',NULL,NULL,NULL,1,0);
CREATE TABLE counts (
	batch_id VARCHAR NOT NULL, 
	state VARCHAR NOT NULL, 
	writer INTEGER NOT NULL, 
	jobs INTEGER NOT NULL, 
	rows INTEGER NOT NULL, 
	reused INTEGER NOT NULL, 
	PRIMARY KEY (batch_id, state, writer), 
	FOREIGN KEY(batch_id) REFERENCES batches (id) ON DELETE CASCADE
);
INSERT INTO "counts" VALUES('1129-key-accounts-1c4a','completed',0,1,2,0);
INSERT INTO "counts" VALUES('1129-key-accounts-1c4a','dropped',0,0,0,0);
INSERT INTO "counts" VALUES('1129-key-accounts-1c4a','failed',0,0,0,0);
INSERT INTO "counts" VALUES('1129-key-accounts-1c4a','in doubt',0,0,0,0);
INSERT INTO "counts" VALUES('1129-key-accounts-1c4a','in flight',0,0,0,0);
INSERT INTO "counts" VALUES('1129-key-accounts-1c4a','pending',0,1,1,0);
INSERT INTO "counts" VALUES('1129-key-accounts-1c4a','rejected',0,0,0,0);
INSERT INTO "counts" VALUES('1129-key-accounts-1c4a','sending',0,1,1,0);
INSERT INTO "counts" VALUES('1129-key-accounts-1c4a','timed out',0,0,0,0);
CREATE TABLE jobs (
	batch_id VARCHAR NOT NULL, 
	number INTEGER NOT NULL, 
	body TEXT NOT NULL, 
	rows INTEGER NOT NULL, 
	state VARCHAR NOT NULL, 
	execution_id VARCHAR, 
	triggered_at FLOAT, 
	started_at FLOAT, 
	finished_at FLOAT, 
	message TEXT NOT NULL, 
	result BLOB, 
	reused_from VARCHAR, 
	PRIMARY KEY (batch_id, number), 
	FOREIGN KEY(batch_id) REFERENCES batches (id) ON DELETE CASCADE
);
INSERT INTO "jobs" VALUES('1129-key-accounts-1c4a',0,'{"workflow_id": "wf_1", "company_id": "a1b2c3d4-e5f6-7890-abcd-ef1234567800"}',2,'completed','exec_0',1795514400.0,1795514400.0,1795514400.0,'',X'789CAB562A4ECE2F4A55B25230AE05001B0803E6',NULL);
INSERT INTO "jobs" VALUES('1129-key-accounts-1c4a',1,'{"workflow_id": "wf_1", "company_id": "a1b2c3d4-e5f6-7890-abcd-ef1234567801"}',1,'sending',NULL,NULL,NULL,NULL,'',NULL,NULL);
INSERT INTO "jobs" VALUES('1129-key-accounts-1c4a',2,'{"workflow_id": "wf_1", "company_id": "a1b2c3d4-e5f6-7890-abcd-ef1234567802"}',1,'pending',NULL,NULL,NULL,NULL,'',NULL,NULL);
CREATE TABLE leases (
	batch_id VARCHAR NOT NULL, 
	holder VARCHAR NOT NULL, 
	pid INTEGER NOT NULL, 
	host VARCHAR NOT NULL, 
	since FLOAT NOT NULL, 
	beat_at FLOAT NOT NULL, 
	PRIMARY KEY (batch_id), 
	FOREIGN KEY(batch_id) REFERENCES batches (id) ON DELETE CASCADE
);
CREATE TABLE meta (
	name VARCHAR NOT NULL, 
	value VARCHAR NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "meta" VALUES('schema_version','10');
INSERT INTO "meta" VALUES('salt','48a79278ca349226d8a56f298c964cd9');
CREATE TABLE rows (
	batch_id VARCHAR NOT NULL, 
	number INTEGER NOT NULL, 
	line INTEGER NOT NULL, 
	cells BLOB NOT NULL, 
	job INTEGER, 
	company_id VARCHAR, 
	contact_id VARCHAR, 
	reason TEXT NOT NULL, 
	PRIMARY KEY (batch_id, number), 
	FOREIGN KEY(batch_id) REFERENCES batches (id) ON DELETE CASCADE
);
INSERT INTO "rows" VALUES('1129-key-accounts-1c4a',0,2,X'5B2261316232633364342D653566362D373839302D616263642D656631323334353637383030222C20375D',0,'a1b2c3d4-e5f6-7890-abcd-ef1234567800',NULL,'');
INSERT INTO "rows" VALUES('1129-key-accounts-1c4a',1,3,X'5B2261316232633364342D653566362D373839302D616263642D656631323334353637383031222C20375D',1,'a1b2c3d4-e5f6-7890-abcd-ef1234567801',NULL,'');
INSERT INTO "rows" VALUES('1129-key-accounts-1c4a',2,4,X'5B2261316232633364342D653566362D373839302D616263642D656631323334353637383032222C20375D',2,'a1b2c3d4-e5f6-7890-abcd-ef1234567802',NULL,'');
INSERT INTO "rows" VALUES('1129-key-accounts-1c4a',3,5,X'5B2261316232633364342D653566362D373839302D616263642D656631323334353637383030222C20375D',0,'a1b2c3d4-e5f6-7890-abcd-ef1234567800',NULL,'');
INSERT INTO "rows" VALUES('1129-key-accounts-1c4a',4,6,X'5B226E6F6E73656E7365222C20375D',NULL,NULL,NULL,'company id is not a UUID');
CREATE TABLE slices (
	batch_id VARCHAR NOT NULL, 
	first INTEGER NOT NULL, 
	last INTEGER NOT NULL, 
	closed TEXT, 
	holder VARCHAR, 
	beat_at FLOAT NOT NULL, 
	requests INTEGER NOT NULL, 
	PRIMARY KEY (batch_id, first), 
	FOREIGN KEY(batch_id) REFERENCES batches (id) ON DELETE CASCADE
);
INSERT INTO "slices" VALUES('1129-key-accounts-1c4a',0,2,'',NULL,1.79593727653987836833e+09,2);
CREATE TABLE spending (
	key_hash VARCHAR NOT NULL, 
	day VARCHAR NOT NULL, 
	worker VARCHAR NOT NULL, 
	requests INTEGER NOT NULL, 
	PRIMARY KEY (key_hash, day, worker)
);
INSERT INTO "spending" VALUES('9054e227808eae45b7ec2bc1b7e7d0ba','2026-11-29','0e0cc5c36b295d47',2);
CREATE TABLE turns (
	key_hash VARCHAR NOT NULL, 
	next_at FLOAT NOT NULL, 
	PRIMARY KEY (key_hash)
);
CREATE INDEX ix_batches_fingerprint ON batches (fingerprint);
CREATE INDEX rows_by_job ON rows (batch_id, job);
CREATE INDEX jobs_by_state ON jobs (batch_id, state, number);
CREATE INDEX jobs_by_execution ON jobs (execution_id);
CREATE INDEX attempts_by_execution ON attempts (execution_id);
CREATE TRIGGER jobs_counted AFTER UPDATE OF state ON jobs FOR EACH ROW WHEN (OLD.state <> NEW.state) BEGIN 
    UPDATE counts SET
        jobs = jobs + CASE WHEN state = NEW.state THEN 1 ELSE -1 END,
        rows = rows + CASE WHEN state = NEW.state THEN NEW.rows ELSE -OLD.rows END,
        reused = reused + CASE
            WHEN state = NEW.state THEN CASE WHEN NEW.reused_from IS NULL THEN 0 ELSE NEW.rows END
            ELSE CASE WHEN OLD.reused_from IS NULL THEN 0 ELSE -OLD.rows END
        END
    WHERE batch_id = NEW.batch_id AND state IN (OLD.state, NEW.state);
 END;
COMMIT;
