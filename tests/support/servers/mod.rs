//! Servers of a test's own: each on a free port, with nothing that outlives the test.

pub(crate) mod redis;
