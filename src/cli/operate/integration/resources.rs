//! What an integration is granted, as it was typed.

use clap::Args;

use crate::{
    auth::acl::AclTree,
    cli::{Failure, acl::nearest, operate::show::quoted},
    service::authorization::Grants,
};

/// Resources.
#[derive(Debug, Args)]
pub(super) struct ResourceArgs {
    /// A resource that it may use, such as `Magento_Sales::sales`; repeat it for more
    #[arg(long, value_name = "ID", conflicts_with = "all")]
    resource: Vec<String>,
    /// Everything
    #[arg(long)]
    all: bool,
}

impl ResourceArgs {
    /// Takes them for grants of a tree.
    pub(super) fn grants(&self, tree: &AclTree) -> Result<Grants, Failure> {
        if self.all {
            return Ok(Grants::All);
        }
        let Some(unknown) = self.resource.iter().find(|resource| tree.find(resource).is_none()) else {
            return Ok(Grants::Resources(self.resource.clone()));
        };
        let unknown_to = format!("there is no resource {}", quoted(unknown));
        let nearest = nearest(unknown, tree).join(", ");
        Err(if nearest.is_empty() {
            Failure::Config(format!(
                "{unknown_to}: acl.mode is off, so that no resources are known; --all grants everything"
            ))
        } else {
            Failure::runtime(format!("{unknown_to}; the nearest are {nearest}"))
        })
    }
}
