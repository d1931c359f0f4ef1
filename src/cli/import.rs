//! `portcullis import`: the ACL tree, the routes and the declared integrations out of a Magento installation's files.
//!
//! Whatever could not be read is listed with file and line. Then nothing is written and the exit code is 1, because a
//! module that is missing may be one that protects another's route; `--lenient` writes what could be read.

use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use clap::Args;

use super::{ConfigArgs, Failure, load, printable, say};
use crate::{
    config::{AclFiles, AclMode},
    import::{self, Changes, Destination, Imported, Previous, Rules},
};

/// More lines of a kind are counted, not listed.
const LISTED: usize = 20;

/// What to read and where to write.
#[derive(Debug, Args)]
pub(super) struct ImportArgs {
    /// The folder of the installation: the one with app/etc/config.php
    #[arg(long, value_name = "DIR")]
    magento_root: PathBuf,
    /// Writes the files that acl.tree, acl.routes and integrations.file of this configuration name
    #[arg(long, short, value_name = "FILE", required_unless_present = "out")]
    config: Option<PathBuf>,
    /// Writes `acl.json`, `webapi_routes.json` and `integrations.json` into this folder, where no configuration names them
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Opens the catalog's GET routes to everybody, as `webapi/webapisecurity/allow_insecure` does; needed where that is
    /// set in Magento's database or env.php, which are not read
    #[arg(long)]
    allow_insecure: bool,
    /// Writes even if something could not be read: routes may then ask for less than they do in Magento
    #[arg(long)]
    lenient: bool,
}

/// Reads, reports and writes.
pub(super) fn import(args: &ImportArgs) -> Result<(), Failure> {
    let destination = destination(args)?;
    let imported = import::read(&args.magento_root, args.allow_insecure).map_err(Failure::runtime)?;
    for problem in imported.notes.iter().chain(&imported.problems) {
        // Nothing is left to do when standard error is closed.
        let _ = writeln!(io::stderr(), "{}", printable(&problem.to_string()));
    }
    let rules = Rules::of(&imported).map_err(Failure::runtime)?;
    say(&summary(&imported, &rules))?;
    let problems = imported.problems.len();
    if problems > 0 && !args.lenient {
        return Err(Failure::runtime(format!(
            "{problems} problem(s), listed above; nothing is written. Mend them, or accept them with --lenient"
        )));
    }
    let previous = rules.compare(&destination);
    rules.write(&destination).map_err(Failure::runtime)?;
    for (path, previous) in previous {
        say(&outcome(path, &previous))?;
    }
    if destination.integrations.is_none() && !imported.integrations.is_empty() {
        say("the integrations are not written: the configuration does not set integrations.file")?;
    }
    Ok(())
}

fn destination(args: &ImportArgs) -> Result<Destination, Failure> {
    let config =
        args.config.as_ref().map(|path| load(&ConfigArgs { config: Some(path.clone()) })).transpose()?;
    let declared = config.as_ref().and_then(|config| config.integrations.file.clone());
    let named = config.and_then(|config| match config.acl.mode {
        AclMode::Enforce(files) | AclMode::Report(files) | AclMode::Shadow(files) => Some(files),
        AclMode::Off => None,
    });
    match (named, &args.out) {
        (Some(AclFiles { tree, routes }), None) => Ok(Destination { tree, routes, integrations: declared }),
        (Some(_), Some(_)) => Err(Failure::runtime(
            "the configuration names the files by acl.tree and acl.routes; leave out --out or --config",
        )),
        (None, Some(out)) => {
            let integrations = Some(out.join("integrations.json"));
            Ok(Destination {
                tree: out.join("acl.json"),
                routes: out.join("webapi_routes.json"),
                integrations,
            })
        }
        (None, None) => {
            Err(Failure::runtime("the configuration names no files (acl.mode is off); add --out DIR"))
        }
    }
}

fn summary(imported: &Imported, rules: &Rules) -> String {
    let Imported {
        modules,
        disabled_modules,
        tree,
        routes,
        insecure_by,
        integrations,
        notes: _,
        problems: _,
    } = imported;
    let mut text = format!(
        "{modules} modules read ({disabled_modules} disabled), {} resources, {} routes",
        tree.iter().map(import::ResourceNode::count).sum::<usize>(),
        routes.len()
    );
    if !integrations.is_empty() {
        text.push_str(&format!(", {} integrations", integrations.len()));
    }
    if let Some(who) = insecure_by {
        text.push_str(&format!("\nallow_insecure is on ({who}): the catalog's GET routes are anonymous"));
    }
    if !rules.unknown_resources.is_empty() {
        text.push_str("\nasked for by routes and in no acl.xml, so that only full access passes: ");
        text.push_str(&rules.unknown_resources.join(", "));
    }
    text
}

fn outcome(path: &Path, previous: &Previous) -> String {
    let path = path.display();
    match previous {
        Previous::Missing => format!("{path}: written"),
        Previous::Same => format!("{path}: unchanged"),
        Previous::Unreadable(reason) => format!("{path}: replaced; the old file is not comparable: {reason}"),
        Previous::Different(Changes { added, removed, changed }) => {
            let count = |lines: &Vec<String>| lines.len();
            let (new, gone, other) = (count(added), count(removed), count(changed));
            let mut text = format!("{path}: replaced; {new} added, {gone} removed, {other} changed");
            for (mark, lines) in [('+', added), ('-', removed), ('~', changed)] {
                list(&mut text, mark, lines);
            }
            text
        }
    }
}

fn list(text: &mut String, mark: char, lines: &[String]) {
    for line in lines.iter().take(LISTED) {
        text.push_str(&format!("\n  {mark} {}", printable(line)));
    }
    if lines.len() > LISTED {
        text.push_str(&format!("\n  {mark} … and {} more", lines.len() - LISTED));
    }
}
