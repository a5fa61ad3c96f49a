//! The references among the documents: each is held against the types that it is about.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod job_file;
mod outcomes;

mod groups;
