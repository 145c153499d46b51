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
	parameter_columns TEXT DEFAULT '{}' NOT NULL, 
	base_url VARCHAR NOT NULL, 
	estimated_seconds FLOAT NOT NULL, 
	estimated_requests INTEGER DEFAULT '0' NOT NULL, 
	requests INTEGER DEFAULT '0' NOT NULL, 
	worked_seconds FLOAT DEFAULT '0' NOT NULL, 
	quota_seconds FLOAT DEFAULT '0' NOT NULL, 
	output TEXT, 
	note TEXT NOT NULL, 
	profile VARCHAR, 
	form TEXT DEFAULT '' NOT NULL, 
	key_hash VARCHAR, 
	list_formats BLOB, 
	resume_at FLOAT, 
	target TEXT, 
	invalid INTEGER DEFAULT '0' NOT NULL, 
	incomplete INTEGER DEFAULT '0' NOT NULL, 
	unconfirmed INTEGER DEFAULT '0' NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "batches" VALUES('1129-key-accounts-80ac','1474dab57e27447d2bbb2e9689d5f3093adf11aa52127ad0134cdc5555ce7fda',1795983621.42737,1795983621.42737,'{"id": "wf_1", "name": "Research", "description": "", "status": "active"}','{"name": "Key Accounts.csv", "path": null, "format": "dataframe", "sheet": null, "encoding": null, "delimiter": null, "header_line": null, "formats": [], "notices": [], "links": ""}','["Company ID", "Seats"]','{"company_id": 0}','{}','{}','https://api.example.com/v1',52.0,7,0,0.0,0.0,NULL,'',NULL,'','ff50d1e0b9db2c4dd3ab27bf16cabdad',NULL,NULL,NULL,1,0,1);
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
INSERT INTO "counts" VALUES('1129-key-accounts-80ac','pending',0,1,1,0);
INSERT INTO "counts" VALUES('1129-key-accounts-80ac','sending',0,1,1,0);
INSERT INTO "counts" VALUES('1129-key-accounts-80ac','in flight',0,0,0,0);
INSERT INTO "counts" VALUES('1129-key-accounts-80ac','completed',0,1,2,0);
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
INSERT INTO "jobs" VALUES('1129-key-accounts-80ac',0,'{"workflow_id": "wf_1", "company_id": "a1b2c3d4-e5f6-7890-abcd-ef1234567800"}',2,'completed','exec_0',1795514400.0,1795514400.0,1795514400.0,'',X'789CAB562A4ECE2F4A55B25230AE05001B0803E6',NULL);
INSERT INTO "jobs" VALUES('1129-key-accounts-80ac',1,'{"workflow_id": "wf_1", "company_id": "a1b2c3d4-e5f6-7890-abcd-ef1234567801"}',1,'sending',NULL,NULL,NULL,NULL,'',NULL,NULL);
INSERT INTO "jobs" VALUES('1129-key-accounts-80ac',2,'{"workflow_id": "wf_1", "company_id": "a1b2c3d4-e5f6-7890-abcd-ef1234567802"}',1,'pending',NULL,NULL,NULL,NULL,'',NULL,NULL);
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
INSERT INTO "meta" VALUES('schema_version','12');
INSERT INTO "meta" VALUES('salt','37d51ed0c88c005212813177c11b791c');
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
INSERT INTO "rows" VALUES('1129-key-accounts-80ac',0,2,X'5B2261316232633364342D653566362D373839302D616263642D656631323334353637383030222C20375D',0,'a1b2c3d4-e5f6-7890-abcd-ef1234567800',NULL,'');
INSERT INTO "rows" VALUES('1129-key-accounts-80ac',1,3,X'5B2261316232633364342D653566362D373839302D616263642D656631323334353637383031222C20375D',1,'a1b2c3d4-e5f6-7890-abcd-ef1234567801',NULL,'');
INSERT INTO "rows" VALUES('1129-key-accounts-80ac',2,4,X'5B2261316232633364342D653566362D373839302D616263642D656631323334353637383032222C20375D',2,'a1b2c3d4-e5f6-7890-abcd-ef1234567802',NULL,'');
INSERT INTO "rows" VALUES('1129-key-accounts-80ac',3,5,X'5B2261316232633364342D653566362D373839302D616263642D656631323334353637383030222C20375D',0,'a1b2c3d4-e5f6-7890-abcd-ef1234567800',NULL,'');
INSERT INTO "rows" VALUES('1129-key-accounts-80ac',4,6,X'5B226E2F61222C20375D',NULL,NULL,NULL,'company ID is a placeholder for an empty cell');
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
INSERT INTO "slices" VALUES('1129-key-accounts-80ac',0,2,'',NULL,1.79598362163220763207e+09,2);
CREATE TABLE spending (
	key_hash VARCHAR NOT NULL, 
	day VARCHAR NOT NULL, 
	worker VARCHAR NOT NULL, 
	requests INTEGER NOT NULL, 
	PRIMARY KEY (key_hash, day, worker)
);
INSERT INTO "spending" VALUES('ff50d1e0b9db2c4dd3ab27bf16cabdad','2026-11-29','9a3bb697c60fd6d3',2);
CREATE TABLE turns (
	key_hash VARCHAR NOT NULL, 
	next_at FLOAT NOT NULL, 
	PRIMARY KEY (key_hash)
);
CREATE INDEX ix_batches_fingerprint ON batches (fingerprint);
CREATE INDEX rows_by_job ON rows (batch_id, job);
CREATE INDEX jobs_by_state ON jobs (batch_id, state, number);
CREATE INDEX jobs_by_execution ON jobs (execution_id) WHERE execution_id IS NOT NULL;
CREATE INDEX attempts_by_execution ON attempts (execution_id);
CREATE TRIGGER jobs_counted AFTER UPDATE OF state ON jobs FOR EACH ROW
    WHEN (OLD.state <> NEW.state)
 BEGIN 
    INSERT INTO counts (batch_id, state, writer, jobs, rows, reused) VALUES
        (NEW.batch_id, OLD.state, 0, -1, -OLD.rows,
            CASE WHEN OLD.reused_from IS NULL THEN 0 ELSE -OLD.rows END),
        (NEW.batch_id, NEW.state, 0, 1, NEW.rows,
            CASE WHEN NEW.reused_from IS NULL THEN 0 ELSE NEW.rows END)
    ON CONFLICT (batch_id, state, writer) DO UPDATE SET
        jobs = counts.jobs + excluded.jobs,
        rows = counts.rows + excluded.rows,
        reused = counts.reused + excluded.reused;
 END;
COMMIT;
