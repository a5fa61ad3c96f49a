//! `stint module`: pushes, lists and inspects modules.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use stint_api::id::{Digest, Namespace};
use stint_api::view::ModuleView;

use crate::args::{Format, Global};
use crate::connect;
use crate::failure::hinted;
use crate::job::push;
use crate::show::{self, Table};

#[derive(Debug, Subcommand)]
pub(crate) enum ModuleVerb {
    /// Push a module; one that is there already is not sent again
    Push(PushArgs),
    /// List the modules of a namespace
    Ls(LsArgs),
    /// Show what is known about a module
    Inspect(InspectArgs),
}

#[derive(Debug, Args)]
pub(crate) struct PushArgs {
    /// The module: x.wasm
    file: PathBuf,

    /// Who it belongs to
    #[arg(long, default_value = "default")]
    namespace: Namespace,
}

#[derive(Debug, Args)]
pub(crate) struct LsArgs {
    /// Whose modules
    #[arg(long, default_value = "default")]
    namespace: Namespace,
}

#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// Its digest, or the first digits of it
    module: String,

    /// Whose module
    #[arg(long, default_value = "default")]
    namespace: Namespace,
}

pub(crate) async fn perform(global: Global, verb: ModuleVerb) -> anyhow::Result<()> {
    let client = connect::required(&global)?;
    let format = global.format();
    match verb {
        ModuleVerb::Push(args) => {
            let module = push(&client, &args.namespace, &args.file).await?;
            match format {
                Format::Json => show::json(&module),
                Format::Text => Ok(show::line(&module.digest.to_string())?),
            }
        }
        ModuleVerb::Ls(args) => {
            let list = client.modules(&args.namespace).await?;
            if format == Format::Json {
                return show::json(&list);
            }
            let mut table = Table::new(["MODULE", "SIZE", "KIND", "ENTRY", "MEMORY", "PUSHED"]);
            for module in &list.modules {
                table.row([
                    module.digest.to_string(),
                    show::bytes(module.size),
                    module.kind.clone(),
                    module.entry.clone(),
                    show::bytes(module.memory_min),
                    show::moment(module.pushed_at),
                ]);
            }
            Ok(table.print()?)
        }
        ModuleVerb::Inspect(args) => {
            let module = match args.module.parse::<Digest>() {
                Ok(digest) => client.module(&args.namespace, &digest).await?,
                Err(_) => {
                    let list = client.modules(&args.namespace).await?;
                    only(&args.module, list.modules)?
                }
            };
            match format {
                Format::Json => show::json(&module),
                Format::Text => print(&module),
            }
        }
    }
}

/// The one module whose digest begins with `text`.
fn only(text: &str, modules: Vec<ModuleView>) -> anyhow::Result<ModuleView> {
    let digits = text.strip_prefix("sha256:").unwrap_or(text);
    let mut matching = modules
        .into_iter()
        .filter(|module| !digits.is_empty() && module.digest.hex().starts_with(digits));
    match (matching.next(), matching.next()) {
        (Some(module), None) => Ok(module),
        (None, _) => Err(hinted(
            format!("no module begins with `{text}`"),
            "`stint module ls` lists them; --namespace says whose",
        )),
        (Some(_), Some(_)) => Err(hinted(
            format!("several modules begin with `{text}`"),
            "give more digits",
        )),
    }
}

fn print(module: &ModuleView) -> anyhow::Result<()> {
    let text = format!(
        "module     {}\nnamespace  {}\nsize       {}\nkind       {}\nentry      {}\n\
         memory     {} at least\nprofile    {}\npushed     {}\nimports    {}",
        module.digest,
        module.namespace,
        show::bytes(module.size),
        module.kind,
        module.entry,
        show::bytes(module.memory_min),
        module.profile,
        show::moment(module.pushed_at),
        match module.imports.len() {
            0 => "none".to_owned(),
            _ => module.imports.join("\n           "),
        }
    );
    Ok(show::line(&text)?)
}

#[cfg(test)]
mod tests {
    use stint_api::quantity::Bytes;
    use stint_api::time::Time;

    use super::*;

    fn module(first: u8) -> ModuleView {
        ModuleView {
            namespace: Namespace::default(),
            digest: Digest([first; 32]),
            size: Bytes(8),
            kind: "core".into(),
            entry: "_start".into(),
            memory_min: Bytes(0),
            imports: Vec::new(),
            profile: "plain".into(),
            pushed_at: Time::from_nanos(0),
            kit: None,
        }
    }

    #[test]
    fn a_few_digits_name_a_module_when_no_other_begins_so() {
        let all = || vec![module(0xab), module(0xac)];
        assert_eq!(only("sha256:ab", all()).unwrap(), module(0xab));
        assert!(only("a", all()).is_err());
        assert!(only("ff", all()).is_err());
        assert!(only("", all()).is_err());
    }
}
