//! `stint serve`: a scheduler, until it is told to stop.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use stint_api::time::Span;
use stint_objects::Allowed;
use stint_scheduler::{Config, Keep, Scheduler};
use tokio::net::TcpListener;

use super::node::{INPUTS, reach};
use crate::args::{Format, Global};
use crate::failure::{hinted, hinted_because};
use crate::interrupt::Interrupts;
use crate::{connect, places, show};

#[derive(Debug, Args)]
#[command(
    after_help = "With --token-file every request must bring that token; an address that other \
machines can reach is refused without one."
)]
pub(crate) struct ServeArgs {
    /// Where to listen, for commands and nodes alike; port 0 takes any that is free
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:7070", value_parser = address)]
    pub(crate) listen: SocketAddr,

    /// Where jobs, modules, logs and results are kept [default: stint/scheduler in XDG_DATA_HOME]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,

    /// How long a node may be silent before its work is given to others
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = lease)]
    lease: Span,

    /// How many jobs are kept that are over, with their results and logs; the oldest go
    #[arg(long, value_name = "N", default_value_t = Keep::default().jobs)]
    keep_jobs: usize,

    /// How long a job is kept that is over
    #[arg(long, value_name = "TIME", default_value_t = Keep::default().age)]
    keep_for: Span,

    /// List what is below this for jobs that split an input into tasks: as for `stint node`; may be given more than once
    #[arg(long, value_name = "DIR|URL")]
    allow_inputs: Vec<Allowed>,
}

/// What a program is told when the scheduler is ready.
#[derive(Debug, Serialize)]
struct Serving<'a> {
    server: &'a str,
    data_dir: &'a Path,
}

pub(crate) async fn perform(global: Global, args: ServeArgs) -> anyhow::Result<()> {
    let mut interrupts = Interrupts::new()?;
    let token = connect::token(&global)?;
    let listener = listen(args.listen, token.as_deref()).await?;
    let url = format!("http://{}", listener.local_addr()?);
    let data_dir = match args.data_dir {
        Some(dir) => dir,
        None => places::data("scheduler", "--data-dir")?,
    };
    make(&data_dir)?;
    let config = Config {
        data_dir: data_dir.clone(),
        lease: args.lease,
        token,
        library: None,
        keep: Keep {
            jobs: args.keep_jobs,
            age: args.keep_for,
        },
        allow_inputs: reach("scheduler", INPUTS, args.allow_inputs)?,
    };
    let scheduler = Scheduler::start(listener, config).await?;
    tracing::info!(%url, data_dir = %data_dir.display(), "ready for commands and nodes");
    if global.format() == Format::Json {
        show::json(&Serving {
            server: &url,
            data_dir: &data_dir,
        })?;
    }
    let work = |stop| async {
        let told = async {
            let _ = stop.await;
        };
        Ok(scheduler.run(told).await?)
    };
    interrupts.stop_work(work).await
}

/// Makes the data directory for this user alone; one that is there stays as it is.
pub(crate) fn make(dir: &Path) -> anyhow::Result<()> {
    places::make(dir).map_err(|error| {
        hinted_because(
            format!("cannot make the data directory `{}`", dir.display()),
            "name one that you may write with --data-dir DIR",
            error,
        )
    })
}

/// Listens there, unless strangers could then do what they like.
pub(crate) async fn listen(at: SocketAddr, token: Option<&str>) -> anyhow::Result<TcpListener> {
    if token.is_none() && !at.ip().to_canonical().is_loopback() {
        return Err(hinted(
            format!("other machines can reach {at}, and no token would be asked of them"),
            "make a token with `(umask 077; head -c 32 /dev/urandom | base64 > token)` and give \
             --token-file token, here, to nodes and to commands; or listen on 127.0.0.1",
        ));
    }
    TcpListener::bind(at).await.map_err(|error| {
        let hint = match error.kind() {
            io::ErrorKind::AddrInUse => {
                "something listens there already, perhaps another scheduler: stop it, or choose \
                 another port with --listen"
            }
            io::ErrorKind::PermissionDenied => "choose a port above 1023 with --listen",
            _ => "choose an address of this machine with --listen",
        };
        hinted_because(format!("cannot listen on {at}"), hint, error)
    })
}

pub(crate) fn address(text: &str) -> Result<SocketAddr, String> {
    // A name may stand for several addresses; this one everybody means alike.
    let text = match text.strip_prefix("localhost:") {
        Some(port) => format!("127.0.0.1:{port}"),
        None => text.to_owned(),
    };
    text.parse()
        .map_err(|_| "write an address and a port, for example 127.0.0.1:7070".to_owned())
}

/// Shorter leases than a few turns of the link take nodes for lost that are well.
const LEASE_MIN: Span = Span::from_millis(100);
/// Longer ones leave the work of a lost node undone for too long.
const LEASE_MAX: Span = Span::from_secs(3600);

fn lease(text: &str) -> Result<Span, String> {
    let lease: Span = text.parse().map_err(|error| format!("{error}"))?;
    if lease < LEASE_MIN || lease > LEASE_MAX {
        return Err(format!("a lease is between {LEASE_MIN} and {LEASE_MAX}"));
    }
    Ok(lease)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Shown;

    #[test]
    fn an_address_and_a_lease_are_checked_when_they_are_read() {
        assert!(address("localhost:7070").unwrap().ip().is_loopback());
        assert!(address("7070").is_err());
        assert!(lease("2s").is_ok());
        assert!(lease("1ms").is_err());
        assert!(lease("2").is_err());
    }

    #[tokio::test]
    async fn an_open_address_needs_a_token() {
        let open = "0.0.0.0:0".parse().unwrap();
        let refused = Shown::new(&listen(open, None).await.unwrap_err());
        assert!(refused.hint.unwrap().contains("--token-file"));
        listen(open, Some("secret")).await.unwrap();
        listen("[::ffff:127.0.0.1]:0".parse().unwrap(), None)
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn a_port_in_use_is_said_to_be() {
        let first = listen("127.0.0.1:0".parse().unwrap(), None).await.unwrap();
        let again = listen(first.local_addr().unwrap(), None).await;
        let refused = Shown::new(&again.unwrap_err());
        assert!(refused.hint.unwrap().contains("listens there already"));
    }
}
