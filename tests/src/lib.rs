//! End-to-end tests: the real binary, spoken to over the API.
