//! Filling the ARN templates of types from parameters.

use super::{Basis, Resource, Search, special::ec2_kind};
use crate::{
    call::{Field, folded},
    names,
    reference::ResourceType,
};

/// A type's template, filled.
pub(super) struct Filled {
    pub(super) resources: Vec<Resource>,
    /// Whether each variable had a value.
    pub(super) is_complete: bool,
    /// How deep in the parameters the deepest value lies.
    pub(super) depth: usize,
}

/// A variable of a template, and its values.
struct Part {
    variable: &'static str,
    found: Vec<String>,
    depth: usize,
}

/// What parameters tell of a type.
enum Values {
    /// An ARN of it, and how deep it lies.
    Whole(String, usize),
    /// Its variables.
    Parts(Vec<Part>),
}

/// Whether a variable says nothing about what it names: `arn:…:webacl/${Name}/${Id}`.
fn is_plain(variable: &str) -> bool {
    matches!(variable, "Name" | "Id")
}

impl Search<'_> {
    /// Fills a type's template from values.
    pub(super) fn filled(&self, kind: &ResourceType, fields: &[Field], basis: Basis) -> Filled {
        let mut values = match self.values(kind, fields) {
            Values::Whole(arn, depth) => {
                return Filled {
                    resources: vec![Resource::new(arn, basis)],
                    is_complete: true,
                    depth,
                };
            }
            Values::Parts(values) => values,
        };
        if let ("ec2", [part]) = (self.service.name, values.as_mut_slice())
            && part.found.is_empty()
        {
            let ids = fields
                .iter()
                .filter(|field| ec2_kind(&field.text) == Some(kind.name));
            part.found.extend(ids.map(|field| field.text.clone()));
        }
        let is_complete = values.iter().all(|part| !part.found.is_empty());
        let any_known = values.iter().any(|part| !part.found.is_empty());
        let count = values
            .iter()
            .map(|part| part.found.len())
            .max()
            .unwrap_or(0)
            .max(1);
        // What has wildcards of its own must not take some from a name.
        let value_of = |found: &[String], nth: usize| {
            let value = found.get(nth).or_else(|| found.first())?;
            Some(if is_complete {
                value.clone()
            } else {
                crate::pattern::escape(value)
            })
        };
        let arn = |nth: usize| {
            let chosen: Vec<(&str, Option<String>)> = values
                .iter()
                .map(|part| (part.variable, value_of(&part.found, nth)))
                .collect();
            kind.template
                .fill(self.place, |variable| {
                    let (_, value) = chosen.iter().find(|(name, _)| *name == variable)?;
                    value.as_deref()
                })
                .0
        };
        let basis = if is_complete || any_known {
            basis
        } else {
            Basis::Kind
        };
        Filled {
            resources: (0..count)
                .map(|nth| Resource::new(arn(nth), basis))
                .collect(),
            is_complete,
            depth: values
                .iter()
                .map(|part| part.depth)
                .max()
                .unwrap_or_default(),
        }
    }

    /// The values of a type's variables: first what is named after a variable, then what is named after the type, unless it
    /// is the value of a variable already.
    fn values(&self, kind: &ResourceType, fields: &[Field]) -> Values {
        let names: Vec<(&'static str, names::Names)> = kind
            .template
            .variables()
            .map(|variable| {
                let names = if is_plain(variable) && self.is_about_another(kind) {
                    names::Names::default()
                } else {
                    names::parameters(self.service.name, kind.name, variable, self.action.name)
                };
                (variable, names)
            })
            .collect();
        let mut parts: Vec<Part> = names
            .iter()
            .map(|(variable, _)| Part {
                variable,
                found: Vec::new(),
                depth: 0,
            })
            .collect();
        let mut taken: Vec<&str> = Vec::new();
        for is_own in [true, false] {
            for (part, (_, names)) in parts.iter_mut().zip(&names) {
                if !part.found.is_empty() {
                    continue;
                }
                let names = if is_own { &names.own } else { &names.of_kind };
                for name in names {
                    if !is_own && taken.contains(&name.as_str()) {
                        continue;
                    }
                    let Some((depth, found)) = self.named_so(kind, part.variable, name, fields)
                    else {
                        continue;
                    };
                    if let Some(arn) = found.iter().find(|value| value.starts_with("arn:")) {
                        return Values::Whole(arn.clone(), depth);
                    }
                    taken.push(name);
                    part.found = found;
                    part.depth = depth;
                    break;
                }
            }
        }
        // Calls of ECS that name no cluster mean the one called default.
        if self.service.name == "ecs"
            && !self.action.name.contains("Tag")
            && let Some(part) = parts.iter_mut().find(|part| part.variable == "ClusterName")
            && part.found.is_empty()
            && !fields.iter().any(|field| field.key.starts_with("cluster"))
        {
            part.found.push("default".to_owned());
        }
        Values::Parts(parts)
    }

    /// Whether the action's name ends with the name of another of its types: then `name` and `id` are that one's.
    fn is_about_another(&self, kind: &ResourceType) -> bool {
        let name = folded(self.action.name);
        let is_about =
            |kind: &ResourceType| name.trim_end_matches('s').ends_with(&folded(kind.name));
        !is_about(kind) && self.types.iter().any(|(other, _)| is_about(other))
    }

    /// The shallowest values under a parameter's name, as far as they are of the type.
    fn named_so(
        &self,
        kind: &ResourceType,
        variable: &str,
        name: &str,
        fields: &[Field],
    ) -> Option<(usize, Vec<String>)> {
        // What may name any type names none of several.
        if matches!(name, "resourceid" | "resourcename" | "resource") && self.types.len() > 1 {
            return None;
        }
        if let Some((first, second)) = name.split_once('+') {
            let all = [first, second].map(|name| self.named_so(kind, variable, name, fields));
            let depth = all.iter().flatten().map(|(depth, _)| *depth).min()?;
            return Some((
                depth,
                all.into_iter().flatten().flat_map(|(_, f)| f).collect(),
            ));
        }
        let shallow = matches!(
            name,
            "name" | "id" | "identifier" | "arn" | "names" | "ids" | "arns"
        );
        let same = || {
            fields
                .iter()
                .filter(|field| field.key == name && (!shallow || field.depth <= 2))
        };
        let depth = same().map(|field| field.depth).min()?;
        let found: Vec<String> = same()
            .filter(|field| field.depth == depth)
            .filter_map(|field| self.value(kind, variable, &field.text))
            .collect();
        (!found.is_empty()).then_some((depth, found))
    }
}
