//! Trees and rows for the tests of this folder.

use std::{
    iter::{Enumerate, Peekable},
    vec::IntoIter,
};

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::auth::{
    acl::{AclTree, Permission, ROOT_RESOURCE, RoleRow, RoleType, RuleRow},
    identity::UserType,
};

pub(super) fn magento_tree() -> AclTree {
    AclTree::from_json(include_str!("../../../tests/vectors/acl.json")).unwrap()
}

/// The recorded rows of both tables.
pub(super) fn magento_rows() -> (Vec<RoleRow>, Vec<RuleRow>) {
    let rows: Value =
        serde_json::from_str(include_str!("../../../tests/vectors/authorization.json")).unwrap();
    let number = |row: &Value, column: &str| u32::try_from(row[column].as_u64().unwrap()).unwrap();
    let roles = rows["authorization_role"].as_array().unwrap().iter().map(|row| RoleRow {
        role_id: number(row, "role_id"),
        parent_id: number(row, "parent_id"),
        tree_level: u16::try_from(number(row, "tree_level")).unwrap(),
        role_type: RoleType::from_magento(row["role_type"].as_str().unwrap()),
        user_id: number(row, "user_id"),
        user_type: row["user_type"].as_str().and_then(|text| UserType::from_magento(text.parse().unwrap())),
        role_name: row["role_name"].as_str().map(str::to_owned),
    });
    let rules = rows["authorization_rule"].as_array().unwrap().iter().map(|row| RuleRow {
        role_id: number(row, "role_id"),
        resource_id: row["resource_id"].as_str().unwrap().to_owned(),
        permission: Permission::from_magento(row["permission"].as_str().unwrap()),
    });
    (roles.collect(), rules.collect())
}

pub(super) fn role(role_id: u32, parent_id: u32, user_type: UserType, user_id: u32) -> RoleRow {
    RoleRow {
        role_id,
        parent_id,
        tree_level: 1,
        role_type: RoleType::User,
        user_id,
        user_type: Some(user_type),
        role_name: Some(format!("role {role_id}")),
    }
}

pub(super) fn rule(role_id: u32, resource_id: &str, permission: Permission) -> RuleRow {
    RuleRow { role_id, resource_id: resource_id.to_owned(), permission }
}

/// A tree of one branch: `n1` to the given depth.
pub(super) fn nested(depth: usize) -> String {
    let opened: String = (1..=depth).map(|level| format!(r#"[{{"id":"n{level}","children":"#)).collect();
    format!("{opened}[]{}", "}]".repeat(depth))
}

/// The root resource and up to `size` others, `n1`, `n2`, … in preorder, nested at random; the root is a leaf, as
/// Magento's, or holds them all.
pub(super) fn random_tree(size: usize) -> impl Strategy<Value = AclTree> {
    (prop::collection::vec(0usize..6, 1..=size), any::<bool>()).prop_map(|(depths, below_root)| {
        let others = forest(&mut depths.into_iter().enumerate().peekable(), 0);
        let json = if below_root {
            json!([{"id": ROOT_RESOURCE, "children": others}])
        } else {
            Value::Array([vec![json!({"id": ROOT_RESOURCE})], others].concat())
        };
        AclTree::from_json(&json.to_string()).unwrap()
    })
}

fn forest(nodes: &mut Peekable<Enumerate<IntoIter<usize>>>, level: usize) -> Vec<Value> {
    let mut siblings = Vec::new();
    while let Some((number, _)) = nodes.next_if(|(_, depth)| *depth >= level) {
        let children = forest(nodes, level + 1);
        siblings.push(json!({"id": format!("n{}", number + 1), "children": children}));
    }
    siblings
}
