//! The HTTP client: one method a verb of the API.
