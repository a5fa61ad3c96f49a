//! Kits on this side of the wire: made from what a registry gives, kept in a
//! library for runs without a scheduler, and sent to those that there are.

mod library;
mod python;
mod unpack;
mod zip;

use std::path::Path;

use stint_api::client::Client;
use stint_api::id::Namespace;
use stint_api::kit::{Kit, KitSpec};

use crate::failure::hinted;

pub(crate) use library::Library;
pub(crate) use python::NAME as PYTHON;
pub(crate) use unpack::Unpacked;

/// Makes the kit `name` in `into` from the file that the user has, or else from
/// what the registry gives.
pub(crate) fn make(name: &str, from: Option<&Path>, into: Unpacked) -> anyhow::Result<KitSpec> {
    match name {
        PYTHON => python::make(from, into),
        _ => Err(hinted(
            format!("no kit `{name}` is known here"),
            format!("there is `stint kit add {PYTHON}`; any other is put together by PUT /v1/kits"),
        )),
    }
}

/// Sends a kit whose files are in `files`, and adds it.
pub(crate) async fn send(
    client: &Client,
    namespace: &Namespace,
    name: &str,
    spec: &KitSpec,
    files: &Unpacked,
) -> anyhow::Result<Kit> {
    for file in files.names()? {
        client.put_file(&file).await?;
    }
    Ok(client.add_kit(namespace, name, spec).await?)
}

/// The kit of a namespace that runs scripts of this suffix; with a name, the one of that name.
pub(crate) async fn find(
    client: &Client,
    namespace: &Namespace,
    name: Option<&str>,
    suffix: &str,
) -> anyhow::Result<Kit> {
    let list = client.kits(namespace).await?;
    let wanted = |kit: &Kit| match name {
        Some(name) => kit.name == name,
        None => kit.spec.suffix.as_deref() == Some(suffix),
    };
    list.kits.into_iter().find(wanted).ok_or_else(|| {
        let what = match name {
            Some(name) => format!("there is no kit `{name}` in namespace `{namespace}`"),
            None => format!("no kit of namespace `{namespace}` runs `.{suffix}` scripts"),
        };
        let add = name.unwrap_or(PYTHON);
        hinted(
            what,
            format!("`stint kit add {add}` adds it, once for all jobs; `stint kit ls` lists those that there are"),
        )
    })
}
