//! Route tables with what each route is called in headers and log lines.

use std::sync::Arc;

use http::HeaderValue;

use crate::auth::route::{Route, RouteTable};

/// What a path without a route needs, in the header's word.
pub(super) const UNMATCHED: HeaderValue = HeaderValue::from_static("unmatched");

/// The routes as they are, and with the reads that `allow_insecure` opens.
#[derive(Debug)]
pub struct Routes {
    pub(super) guarded: Labeled,
    pub(super) open: Labeled,
}

impl Routes {
    /// Prepares a table.
    #[must_use]
    pub fn new(table: RouteTable) -> Self {
        Self { open: Labeled::new(table.clone().with_open_reads()), guarded: Labeled::new(table) }
    }
}

/// A route table with the values that each route needs in headers and log lines.
#[derive(Debug)]
pub(super) struct Labeled {
    pub(super) table: RouteTable,
    labels: Vec<Labels>,
}

/// What a route is called.
#[derive(Debug)]
pub(super) struct Labels {
    pub(super) template: Arc<str>,
    pub(super) resource: HeaderValue,
}

impl Labeled {
    pub(super) fn new(table: RouteTable) -> Self {
        let labels = table.routes().iter().map(Labels::of).collect();
        Self { table, labels }
    }

    /// What a route of this table is called.
    pub(super) fn labels(&self, route: &Route) -> Option<&Labels> {
        self.labels.get(route.index as usize)
    }
}

impl Labels {
    fn of(route: &Route) -> Self {
        // The table refuses resource names that are no header value.
        let resource = HeaderValue::from_str(&route.resource_header).unwrap_or(UNMATCHED);
        Self { template: route.template.as_str().into(), resource }
    }
}
