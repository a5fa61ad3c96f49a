//! Data in and out, from end to end: what a job names is there when it starts, as it was
//! named, or the job fails before it starts with what is missing.

mod buckets;
mod files;
mod outputs;
mod split;
mod web;
