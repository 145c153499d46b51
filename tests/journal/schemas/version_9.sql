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
	profile VARCHAR, form TEXT NOT NULL DEFAULT '', key_hash VARCHAR, list_formats BLOB, resume_at FLOAT, target TEXT, invalid INTEGER NOT NULL DEFAULT 0, incomplete INTEGER NOT NULL DEFAULT 0, 
	PRIMARY KEY (id)
);
INSERT INTO "batches" VALUES('1124-key-accounts-f6f1','486bca6085bacdd82bc54477589709f780bdfb9994d3cadffc63f05dedd3b146',1.79552999813976192468e+09,1.79552999856910943982e+09,'{"id": "wf_1", "name": "Research", "description": "", "status": "active"}','{"name": "Key Accounts.csv", "path": null, "format": "dataframe", "sheet": null, "encoding": null, "delimiter": null, "notices": []}','["Company ID", "Seats"]','{"company_id": 0}','{}','https://api.example.com/v1',52.0,7,2,0.0,0.0,NULL,'',NULL,'',NULL,NULL,NULL,NULL,1,0);
CREATE TABLE counts (
	batch_id VARCHAR NOT NULL, 
	state VARCHAR NOT NULL, 
	jobs INTEGER NOT NULL, 
	rows INTEGER NOT NULL, 
	reused INTEGER NOT NULL, 
	PRIMARY KEY (batch_id, state), 
	FOREIGN KEY(batch_id) REFERENCES batches (id) ON DELETE CASCADE
);
INSERT INTO "counts" VALUES('1124-key-accounts-f6f1','completed',1,2,0);
INSERT INTO "counts" VALUES('1124-key-accounts-f6f1','dropped',0,0,0);
INSERT INTO "counts" VALUES('1124-key-accounts-f6f1','failed',0,0,0);
INSERT INTO "counts" VALUES('1124-key-accounts-f6f1','in doubt',0,0,0);
INSERT INTO "counts" VALUES('1124-key-accounts-f6f1','in flight',0,0,0);
INSERT INTO "counts" VALUES('1124-key-accounts-f6f1','pending',1,1,0);
INSERT INTO "counts" VALUES('1124-key-accounts-f6f1','rejected',0,0,0);
INSERT INTO "counts" VALUES('1124-key-accounts-f6f1','sending',1,1,0);
INSERT INTO "counts" VALUES('1124-key-accounts-f6f1','timed out',0,0,0);
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
INSERT INTO "jobs" VALUES('1124-key-accounts-f6f1',0,'{"workflow_id": "wf_1", "company_id": "a1b2c3d4-e5f6-7890-abcd-ef1234567800"}',2,'completed','exec_0',1795514400.0,1795514400.0,1795514400.0,'',X'789CAB562A4ECE2F4A55B25230AE05001B0803E6',NULL);
INSERT INTO "jobs" VALUES('1124-key-accounts-f6f1',1,'{"workflow_id": "wf_1", "company_id": "a1b2c3d4-e5f6-7890-abcd-ef1234567801"}',1,'sending',NULL,NULL,NULL,NULL,'',NULL,NULL);
INSERT INTO "jobs" VALUES('1124-key-accounts-f6f1',2,'{"workflow_id": "wf_1", "company_id": "a1b2c3d4-e5f6-7890-abcd-ef1234567802"}',1,'pending',NULL,NULL,NULL,NULL,'',NULL,NULL);
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
INSERT INTO "meta" VALUES('schema_version','9');
INSERT INTO "meta" VALUES('salt','9e374dc9e9bfe6b9f3049ab8c298d5cc');
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
INSERT INTO "rows" VALUES('1124-key-accounts-f6f1',0,2,X'5B2261316232633364342D653566362D373839302D616263642D656631323334353637383030222C20375D',0,'a1b2c3d4-e5f6-7890-abcd-ef1234567800',NULL,'');
INSERT INTO "rows" VALUES('1124-key-accounts-f6f1',1,3,X'5B2261316232633364342D653566362D373839302D616263642D656631323334353637383031222C20375D',1,'a1b2c3d4-e5f6-7890-abcd-ef1234567801',NULL,'');
INSERT INTO "rows" VALUES('1124-key-accounts-f6f1',2,4,X'5B2261316232633364342D653566362D373839302D616263642D656631323334353637383032222C20375D',2,'a1b2c3d4-e5f6-7890-abcd-ef1234567802',NULL,'');
INSERT INTO "rows" VALUES('1124-key-accounts-f6f1',3,5,X'5B2261316232633364342D653566362D373839302D616263642D656631323334353637383030222C20375D',0,'a1b2c3d4-e5f6-7890-abcd-ef1234567800',NULL,'');
INSERT INTO "rows" VALUES('1124-key-accounts-f6f1',4,6,X'5B226E6F6E73656E7365222C20375D',NULL,NULL,NULL,'company id: "nonsense" is not a UUID');
CREATE TABLE spending (
	key_hash VARCHAR NOT NULL, 
	day VARCHAR NOT NULL, 
	requests INTEGER NOT NULL, 
	PRIMARY KEY (key_hash, day)
);
INSERT INTO "spending" VALUES('b7ac38e868157d791152baa9b95993cf','2026-11-24',2);
CREATE TABLE turns (
	key_hash VARCHAR NOT NULL, 
	next_at FLOAT NOT NULL, 
	PRIMARY KEY (key_hash)
);
CREATE INDEX ix_batches_fingerprint ON batches (fingerprint);
CREATE INDEX jobs_by_state ON jobs (batch_id, state, number);
CREATE INDEX jobs_by_execution ON jobs (execution_id);
CREATE INDEX attempts_by_execution ON attempts (execution_id);
CREATE INDEX rows_by_job ON rows (batch_id, job);
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
