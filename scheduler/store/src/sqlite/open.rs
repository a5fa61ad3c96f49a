//! Opening the data directory: lock, create or check the format, set what makes
//! a commit durable.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::lock::{DirectoryLock, LockError};
use crate::EngineError;

/// Version of what the data directory holds; a new one comes with a migration.
const FORMAT: &str = "1";
/// The file that says it: readable without the engine, written before all else.
const FORMAT_FILE: &str = "FORMAT";
/// Longest text of a format that an error repeats.
const FORMAT_CHARS_MAX: usize = 20;
/// The database's file name within the data directory.
const FILE: &str = "records.sqlite";
/// How long to wait for an operator's shell that reads or checkpoints the file.
const BUSY_WAIT: Duration = Duration::from_secs(5);

/// Why a data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory is not there and cannot be made, or cannot be synced.
    #[error("cannot make the data directory {directory}")]
    Directory {
        /// The directory.
        directory: PathBuf,
        /// What the system said.
        #[source]
        cause: std::io::Error,
    },
    /// Somebody else has it.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// It was written by a version with another format.
    #[error(
        "data directory {directory} is of another version: it has format {found}, this version \
         reads format {FORMAT}; use the version that wrote it, or another --data-dir"
    )]
    OtherVersion {
        /// The directory.
        directory: PathBuf,
        /// Its format.
        found: String,
    },
    /// The file is there but is not our database.
    #[error(
        "{path} is not a store of this program; restore it from a copy, or use another --data-dir"
    )]
    NotAStore {
        /// The file.
        path: PathBuf,
        /// What the engine said.
        #[source]
        cause: EngineError,
    },
    /// The engine failed.
    #[error("cannot open {path}")]
    Engine {
        /// The file.
        path: PathBuf,
        /// What the engine said.
        #[source]
        cause: EngineError,
    },
}

pub(super) fn open(directory: &Path) -> Result<(DirectoryLock, Connection), OpenError> {
    let in_directory = |cause| OpenError::Directory {
        directory: directory.to_owned(),
        cause,
    };
    std::fs::create_dir_all(directory).map_err(in_directory)?;
    let lock = DirectoryLock::take(directory)?;
    let path = directory.join(FILE);
    let found = format_of(directory).map_err(in_directory)?;
    if found != FORMAT {
        return Err(OpenError::OtherVersion {
            directory: directory.to_owned(),
            found,
        });
    }
    let mut connection = connect(&path).map_err(|error| engine_error(&path, error))?;
    make_tables(&mut connection).map_err(|error| engine_error(&path, error))?;
    // The names of the files must survive a power cut as well as what is in them.
    sync(directory).map_err(in_directory)?;
    Ok((lock, connection))
}

fn sync(directory: &Path) -> std::io::Result<()> {
    File::open(directory)?.sync_all()
}

/// The format of the directory; one without a store becomes ours.
fn format_of(directory: &Path) -> std::io::Result<String> {
    let path = directory.join(FORMAT_FILE);
    match std::fs::read(&path) {
        Ok(bytes) => {
            let text = String::from_utf8_lossy(&bytes);
            Ok(text.trim().chars().take(FORMAT_CHARS_MAX).collect())
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            if directory.join(FILE).exists() {
                return Ok("none".to_owned());
            }
            let mut file = File::create_new(&path)?;
            writeln!(file, "{FORMAT}")?;
            file.sync_all()?;
            sync(directory)?;
            Ok(FORMAT.to_owned())
        }
        Err(error) => Err(error),
    }
}

fn connect(path: &Path) -> Result<Connection, rusqlite::Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_WAIT)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "trusted_schema", false)?;
    Ok(connection)
}

/// Makes the tables of an empty file, and checks those of another.
fn make_tables(connection: &mut Connection) -> Result<(), rusqlite::Error> {
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if tables == 0 {
        let transaction = connection.transaction()?;
        transaction.execute_batch(
            "CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;
             CREATE TABLE records (
                 key TEXT PRIMARY KEY, value BLOB NOT NULL, checksum BLOB NOT NULL
             ) STRICT;
             INSERT INTO meta (name, value) VALUES ('term', 0);",
        )?;
        transaction.commit()?;
    }
    connection.prepare("SELECT value FROM meta")?;
    connection.prepare("SELECT key, value, checksum FROM records")?;
    Ok(())
}

fn engine_error(path: &Path, error: rusqlite::Error) -> OpenError {
    use rusqlite::ErrorCode;
    let foreign = match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => true,
        // A database without our tables.
        Some(ErrorCode::Unknown) => true,
        _ => false,
    };
    let (path, cause) = (path.to_owned(), EngineError::from(error));
    if foreign {
        OpenError::NotAStore { path, cause }
    } else {
        OpenError::Engine { path, cause }
    }
}
