//! `portcullis acl`: what the rules say, in the shell.
//!
//! Read from the files that the configuration names by the gate's own readers, and who holds a resource from the store
//! through the same [`RoleBook`] that decides requests.

use clap::{Args, Subcommand};

use super::{ConfigArgs, Failure, load, printable, runtime, say};
use crate::{
    auth::{
        acl::{AclTree, Resource, ResourceIndex, Role, RoleBook},
        identity::UserType,
        route::{Route, RouteTable},
    },
    config::{AclMode, Config, edits},
    server::Files,
    store::sql::{Principals, SqlStore},
};

/// Suggestions for a mistyped id.
const SUGGESTED: usize = 3;

/// What to show.
#[derive(Debug, Subcommand)]
pub(super) enum AclCommand {
    /// The tree of resources, indented, with their titles
    Tree(ConfigArgs),
    /// The routes and what each asks for
    Routes(RoutesArgs),
    /// The roles, admins and integrations that may use a resource
    WhoCan(WhoCanArgs),
}

/// Which routes.
#[derive(Debug, Args)]
pub(super) struct RoutesArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Only routes that ask for this resource
    #[arg(long, value_name = "ID")]
    resource: Option<String>,
    /// Only routes of this method
    #[arg(long, short = 'X', ignore_case = true, value_parser = ["GET", "POST", "PUT", "DELETE"])]
    method: Option<String>,
}

/// Which resource.
#[derive(Debug, Args)]
pub(super) struct WhoCanArgs {
    /// The resource's id, such as `Magento_Sales::actions_view`
    resource: String,
    #[command(flatten)]
    config: ConfigArgs,
}

/// Shows what is asked for.
pub(super) fn acl(command: &AclCommand) -> Result<(), Failure> {
    match command {
        AclCommand::Tree(args) => tree(args),
        AclCommand::Routes(args) => routes(args),
        AclCommand::WhoCan(args) => who_can(args),
    }
}

fn tree(args: &ConfigArgs) -> Result<(), Failure> {
    let tree = files(&load(args)?)?.tree;
    for index in tree.indices() {
        let indent = "  ".repeat(ancestors(&tree, index));
        let id = tree.id(index).unwrap_or_default();
        match tree.title(index).unwrap_or_default() {
            "" => say(&format!("{indent}{id}"))?,
            title => say(&format!("{indent}{id}  {}", printable(title)))?,
        }
    }
    Ok(())
}

fn ancestors(tree: &AclTree, index: ResourceIndex) -> usize {
    std::iter::successors(tree.parent(index), |parent| tree.parent(*parent)).count()
}

fn routes(args: &RoutesArgs) -> Result<(), Failure> {
    let RoutesArgs { config, resource, method } = args;
    let Files { tree, routes } = files(&load(config)?)?;
    let table = routes.ok_or_else(no_rules)?;
    let wanted = resource.as_deref().map(|name| known(name, &tree, &table)).transpose()?;
    let is_wanted = |route: &&Route| {
        wanted.as_ref().is_none_or(|wanted| route.resources.contains(wanted))
            && method.as_deref().is_none_or(|method| route.method.eq_ignore_ascii_case(method))
    };
    let shown: Vec<_> = table.routes().iter().filter(is_wanted).collect();
    let width = shown.iter().map(|route| route.template.len()).max().unwrap_or(0);
    for route in shown {
        let Route { template, method, resource_header, requires_https, .. } = route;
        let https = if *requires_https { "  (HTTPS only)" } else { "" };
        say(&format!("{method:<6}  {template:<width$}  {resource_header}{https}"))?;
    }
    Ok(())
}

fn who_can(args: &WhoCanArgs) -> Result<(), Failure> {
    let config = load(&args.config)?;
    let Files { tree, routes } = files(&config)?;
    let resource = known(&args.resource, &tree, &routes.ok_or_else(no_rules)?)?;
    match &resource {
        Resource::Anonymous => return say("everybody, guests included"),
        Resource::SelfOnly => say("every customer for himself, and whoever has full access:")?,
        Resource::Unknown(_) => say("in no acl.xml, so that only full access passes:")?,
        Resource::Named(_) => {}
    }
    let (rows, principals) = runtime()?
        .block_on(async {
            let store = SqlStore::open(&config.store).await?;
            let read = (store.reference().await?, store.principals().await?);
            store.close().await;
            Ok::<_, crate::store::StoreError>(read)
        })
        .map_err(Failure::runtime)?;
    let may = |role: &Role| role.permissions.allows(&resource);
    let groups = RoleBook::groups(&tree, &rows.roles, &rows.rules);
    let book = RoleBook::build(&tree, &rows.roles, &rows.rules);
    let mut lines = Vec::new();
    for role in groups.iter().filter(|role| may(role)) {
        lines.push(format!("role         {:>6}  {}", role.id, printable(&role.name)));
    }
    lines.extend(holders(&book, &principals, &may));
    if lines.is_empty() {
        return say("nobody");
    }
    lines.iter().try_for_each(|line| say(line))
}

/// Admins, then integrations, each by id.
fn holders(book: &RoleBook, principals: &Principals, may: &impl Fn(&Role) -> bool) -> Vec<String> {
    let mut found: Vec<_> = book.iter().filter(|(_, role)| may(role)).collect();
    found.sort_by_key(|((user_type, id), _)| (user_type.as_str(), *id));
    let line = |((user_type, id), role): ((UserType, u32), &std::sync::Arc<Role>)| {
        let mut line = format!("{:<11}  {id:>6}  ", user_type.as_str());
        match principals.find(user_type, id) {
            Some(principal) => {
                line.push_str(&printable(&principal.name));
                line.push_str(if principal.is_active { "" } else { "  (inactive)" });
            }
            None => line.push_str("(no such account; its role remains)"),
        }
        // An integration's role is its own and bears no name of people's.
        if user_type == UserType::Admin {
            line.push_str(&format!("  through role {} {}", role.id, printable(&role.name)));
        }
        line
    };
    found.into_iter().map(line).collect()
}

fn files(config: &Config) -> Result<Files, Failure> {
    match config.acl.mode {
        AclMode::Off => Err(no_rules()),
        AclMode::Enforce(_) | AclMode::Report(_) | AclMode::Shadow(_) => {
            Files::read(config).map_err(Failure::config)
        }
    }
}

fn no_rules() -> Failure {
    Failure::Config("acl.mode is off: the configuration names no rules to show".to_owned())
}

/// A resource that the tree has or a route asks for.
fn known(name: &str, tree: &AclTree, table: &RouteTable) -> Result<Resource, Failure> {
    let resource = tree.resource(name);
    let is_known = match &resource {
        Resource::Anonymous | Resource::SelfOnly | Resource::Named(_) => true,
        Resource::Unknown(_) => table.routes().iter().any(|route| route.resources.contains(&resource)),
    };
    if is_known {
        return Ok(resource);
    }
    let nearest = nearest(name, tree).join(", ");
    Err(Failure::runtime(format!("there is no resource {name:?}; the nearest are {nearest}")))
}

/// Ids that contain what was typed, then those a few edits away.
pub(super) fn nearest<'a>(name: &str, tree: &'a AclTree) -> Vec<&'a str> {
    let typed: String = name.to_ascii_lowercase().chars().take(255).collect();
    let distance = |id: &str| {
        let id = id.to_ascii_lowercase();
        let last = id.rsplit("::").next().unwrap_or_default();
        (!id.contains(&typed), edits(&typed, &id).min(edits(&typed, last)))
    };
    let mut ids: Vec<_> = tree.indices().filter_map(|index| tree.id(index)).collect();
    ids.sort_by_cached_key(|id| distance(id));
    ids.truncate(SUGGESTED);
    ids
}
