//! A scheduler that does what its test says: it welcomes, streams the orders it
//! is given, keeps the reports it gets, and can be rude.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use stint_api::id::{ClusterId, Digest, Generation};
use stint_api::link::{Hello, Order, Orders, Report, Reports, ReportsAnswer, Welcome};
use stint_api::time::Span;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

type Body = BoxBody<Bytes, Infallible>;

/// Orders that wait for the node; no test gives more.
const ORDERS_MAX: usize = 64;

/// How it answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Manners {
    /// As a scheduler does.
    #[default]
    Good,
    /// It takes reports and breaks the connection instead of answering, once.
    LosesOneAnswer,
    /// It does not answer reports.
    Silent,
    /// It refuses every hello.
    Refuses,
}

#[derive(Debug)]
struct State {
    lease: Span,
    manners: Manners,
    hellos: Vec<Hello>,
    modules: BTreeMap<String, Vec<u8>>,
    /// What each new stream of orders begins with.
    full: Vec<Order>,
    stream: Option<mpsc::Sender<Orders>>,
}

/// The scheduler of one test.
#[derive(Clone, Debug)]
pub(crate) struct Scheduler {
    state: Arc<Mutex<State>>,
    /// Every report that it got, in order, said twice or not.
    reports: watch::Receiver<Vec<Report>>,
    url: String,
}

impl Scheduler {
    /// Listens on a port of its own.
    pub(crate) async fn start(lease: Span) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (sender, reports) = watch::channel(Vec::new());
        let state = Arc::new(Mutex::new(State {
            lease,
            manners: Manners::Good,
            hellos: Vec::new(),
            modules: BTreeMap::new(),
            full: Vec::new(),
            stream: None,
        }));
        let scheduler = Self {
            state,
            reports,
            url,
        };
        tokio::spawn(serve(listener, scheduler.clone(), Arc::new(sender)));
        scheduler
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn behave(&self, manners: Manners) {
        self.state.lock().unwrap().manners = manners;
    }

    /// Gives out `bytes` under their own digest.
    pub(crate) fn add_module(&self, bytes: Vec<u8>) -> Digest {
        let digest = Digest(Sha256::digest(&bytes).into());
        self.add_module_as(digest, bytes);
        digest
    }

    pub(crate) fn add_module_as(&self, digest: Digest, bytes: Vec<u8>) {
        let mut state = self.state.lock().unwrap();
        state.modules.insert(digest.to_string(), bytes);
    }

    /// Orders from now on, and first thing on every later stream.
    pub(crate) async fn order(&self, order: Order) {
        let stream = {
            let mut state = self.state.lock().unwrap();
            match &order {
                Order::Run(grant) => {
                    let grant = grant.clone();
                    match state.full.first_mut() {
                        Some(Order::Full { grants }) => grants.push(grant),
                        _ => state.full.push(Order::Full {
                            grants: vec![grant],
                        }),
                    }
                }
                other => state.full.push(other.clone()),
            }
            state.stream.clone()
        };
        if let Some(stream) = stream {
            let orders = Orders {
                generation: self.generation(),
                orders: vec![order],
            };
            // A stream that just broke is followed by one that begins with it.
            drop(stream.send(orders).await);
        }
    }

    pub(crate) fn hellos(&self) -> Vec<Hello> {
        self.state.lock().unwrap().hellos.clone()
    }

    /// Every report so far.
    pub(crate) fn reports(&self) -> Vec<Report> {
        self.reports.borrow().clone()
    }

    /// Waits until `find` finds what it looks for among the reports.
    pub(crate) async fn wait<T>(&self, find: impl Fn(&[Report]) -> Option<T>) -> T {
        let mut reports = self.reports.clone();
        loop {
            if let Some(found) = find(&reports.borrow_and_update()) {
                return found;
            }
            reports.changed().await.unwrap();
        }
    }

    fn generation(&self) -> Generation {
        Generation(self.state.lock().unwrap().hellos.len() as u64)
    }

    /// A break of the connection is an answer that breaks off.
    async fn answer(
        &self,
        request: Request<Incoming>,
        sink: &watch::Sender<Vec<Report>>,
    ) -> Response<Body> {
        let path = request.uri().path().to_owned();
        match path.as_str() {
            "/v1/link/hello" => self.welcome(&read(request).await),
            "/v1/link/orders" => self.stream(),
            "/v1/link/reports" => self.take(&read(request).await, sink).await,
            path => {
                let digest = path.trim_start_matches("/v1/link/modules/");
                let module = self.state.lock().unwrap().modules.get(digest).cloned();
                whole(200, module.unwrap())
            }
        }
    }

    fn welcome(&self, body: &[u8]) -> Response<Body> {
        let (lease, manners) = {
            let mut state = self.state.lock().unwrap();
            state.hellos.push(serde_json::from_slice(body).unwrap());
            (state.lease, state.manners)
        };
        if manners == Manners::Refuses {
            let problem = r#"{"type":"urn:stint:unauthorized","title":"","status":401,"detail":"the token is wrong"}"#;
            return whole(401, problem.into());
        }
        json(&Welcome {
            generation: self.generation(),
            cluster: ClusterId(5),
            lease,
        })
    }

    fn stream(&self) -> Response<Body> {
        let (sender, receiver) = mpsc::channel(ORDERS_MAX);
        let mut orders = {
            let mut state = self.state.lock().unwrap();
            state.stream = Some(sender);
            state.full.clone()
        };
        if !matches!(orders.first(), Some(Order::Full { .. })) {
            orders.insert(0, Order::Full { grants: Vec::new() });
        }
        let first = Orders {
            generation: self.generation(),
            orders,
        };
        let lines = futures_util::stream::unfold(
            (Some(first), receiver),
            |(first, mut receiver)| async move {
                let orders = match first {
                    Some(first) => first,
                    None => receiver.recv().await?,
                };
                let mut line = serde_json::to_vec(&orders).unwrap();
                line.push(b'\n');
                Some((Ok(Frame::data(Bytes::from(line))), (None, receiver)))
            },
        );
        Response::new(BoxBody::new(StreamBody::new(Box::pin(lines))))
    }

    async fn take(&self, body: &[u8], sink: &watch::Sender<Vec<Report>>) -> Response<Body> {
        let batch: Reports = serde_json::from_slice(body).unwrap();
        let is_empty = batch.reports.is_empty();
        let manners = {
            let mut state = self.state.lock().unwrap();
            let manners = state.manners;
            if manners == Manners::LosesOneAnswer && !is_empty {
                state.manners = Manners::Good;
            }
            manners
        };
        sink.send_modify(|all| all.extend(batch.reports));
        match manners {
            Manners::Silent => std::future::pending().await,
            // What is no answer of a scheduler is no answer.
            Manners::LosesOneAnswer if !is_empty => whole(200, b"{".to_vec()),
            _ => json(&ReportsAnswer {
                lease: self.state.lock().unwrap().lease,
            }),
        }
    }
}

async fn serve(listener: TcpListener, scheduler: Scheduler, sink: Arc<watch::Sender<Vec<Report>>>) {
    loop {
        let (socket, _) = listener.accept().await.unwrap();
        let (scheduler, sink) = (scheduler.clone(), Arc::clone(&sink));
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let (scheduler, sink) = (scheduler.clone(), Arc::clone(&sink));
                async move { Ok::<_, Infallible>(scheduler.answer(request, &sink).await) }
            });
            let connection = Builder::new(TokioExecutor::new()).http2_only();
            // The node breaks connections when it goes.
            drop(
                connection
                    .serve_connection(TokioIo::new(socket), service)
                    .await,
            );
        });
    }
}

async fn read(request: Request<Incoming>) -> Vec<u8> {
    let body = request.into_body().collect().await.unwrap();
    body.to_bytes().to_vec()
}

fn whole(status: u16, bytes: Vec<u8>) -> Response<Body> {
    let body = BoxBody::new(Full::new(Bytes::from(bytes)));
    Response::builder().status(status).body(body).unwrap()
}

fn json<T: Serialize>(value: &T) -> Response<Body> {
    whole(200, serde_json::to_vec(value).unwrap())
}
