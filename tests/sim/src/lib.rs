//! Deterministic simulation of both hearts.
