//! Where data is: files of this machine, objects on web servers, objects in buckets.
//!
//! The one room that speaks to machines which a *job* names. Whoever runs a node says
//! with [`Reach`] what of all that jobs may name; credentials are this process's own, from
//! its environment, and appear in no error. Nothing here knows of jobs, caches or guests.
//!
//! ```text
//! Location ── Reach: may it? ──▶ Objects ─┬─ file    files below allowed directories
//!   a parsed URL                          ├─ web     http(s), addresses checked after DNS
//!                                         └─ bucket  s3, through object_store
//! ```

mod address;
mod body;
mod bucket;
mod error;
mod file;
mod location;
mod objects;
mod pieces;
mod reach;
mod selection;
mod upload;
mod web;
mod wire;

pub use body::Opened;
pub use error::ObjectError;
pub use file::{open_beneath, version_of};
pub use location::{Location, LocationError, shown};
pub use objects::{Listed, OBJECTS_MAX, Objects};
pub use pieces::{Part, Piece};
pub use reach::{Allowed, AllowedError, Prefix, Reach};
pub use selection::{Pattern, Selection};
pub use upload::{PART_BYTES, Upload};
