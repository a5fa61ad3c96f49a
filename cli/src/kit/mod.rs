//! Kits on this side of the wire: made from what a registry gives, kept in a
//! library for runs without a scheduler, and sent to those that there are.

mod library;
mod packages;
mod python;
mod unpack;
mod zip;

use std::path::{Path, PathBuf};

use stint_api::client::Client;
use stint_api::id::Namespace;
use stint_api::kit::{Kit, KitSpec};

use crate::failure::hinted;

pub(crate) use library::Library;
pub(crate) use python::NAME as PYTHON;
pub(crate) use unpack::Unpacked;

/// Makes the kit `name` in `into` from the file that the user has, or else from
/// what the registry gives.
pub(crate) fn make(name: &str, from: Option<&Path>, into: &Unpacked) -> anyhow::Result<KitSpec> {
    match name {
        PYTHON => python::make(from, into),
        _ => Err(hinted(
            format!("no kit `{name}` is known here"),
            format!("there is `stint kit add {PYTHON}`; any other is put together by PUT /v1/kits"),
        )),
    }
}

/// What to do about the failure of a job that ran with the kit `name` and said this last.
pub(crate) fn advice(name: &str, said: &str) -> Option<String> {
    match name {
        PYTHON => python::advice(said),
        _ => None,
    }
}

/// The packages `wanted`, and what they need, as files that lie beside a script which `kit`
/// runs; downloaded to `into`.
pub(crate) fn packages(
    wanted: &[String],
    kit: &Kit,
    into: &Path,
) -> anyhow::Result<Vec<(String, PathBuf)>> {
    match kit.spec.suffix.as_deref() {
        Some(python::SUFFIX) => packages::collect(wanted, &kit.spec, into),
        _ => Err(hinted(
            format!(
                "nothing is known here of packages for the kit `{}`",
                kit.name
            ),
            "leave --with out",
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

/// Whether a kit that runs scripts of this suffix can be made here.
pub(crate) fn is_made_here(suffix: &str) -> bool {
    suffix == python::SUFFIX
}

/// The kit of a namespace that runs scripts of this suffix, if there is one.
pub(crate) async fn of_suffix(
    client: &Client,
    namespace: &Namespace,
    suffix: &str,
) -> anyhow::Result<Option<Kit>> {
    let list = client.kits(namespace).await?;
    let mut kits = list.kits.into_iter();
    Ok(kits.find(|kit| kit.spec.suffix.as_deref() == Some(suffix)))
}

/// The kit of a namespace that runs scripts of this suffix; with a name, the one of that
/// name. It has to be there.
pub(crate) async fn find(
    client: &Client,
    namespace: &Namespace,
    name: Option<&str>,
    suffix: &str,
) -> anyhow::Result<Kit> {
    let found = match name {
        Some(name) => {
            let mut kits = client.kits(namespace).await?.kits.into_iter();
            kits.find(|kit| kit.name == name)
        }
        None => of_suffix(client, namespace, suffix).await?,
    };
    found.ok_or_else(|| {
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
