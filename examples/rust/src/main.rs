//! Prints Waggle's events as JSON lines, and never loses one.

use std::convert::Infallible;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};
use tokio::signal::{ctrl_c, unix};
use tokio::time::{error::Elapsed, sleep, timeout};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{self, Certificate, ClientTlsConfig, Endpoint};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;
use waggle_stubs::v1::event_service_client::EventServiceClient;
use waggle_stubs::v1::subscribe_request::Start;
use waggle_stubs::v1::{EventFilter, StartPosition, SubscribeRequest, SubscribeResponse};

const MIN_BACKOFF: Duration = Duration::from_millis(100);
const GAPS: [&str; 2] = ["CURSOR_EXPIRED", "CURSOR_STORE_MISMATCH"];
/// Asking again would bring the same.
const PERMANENT: [Code; 7] = [
    Code::InvalidArgument,
    Code::Unauthenticated,
    Code::PermissionDenied,
    Code::Unimplemented,
    Code::OutOfRange,
    Code::FailedPrecondition,
    Code::NotFound,
];

/// Prints Waggle's events as JSON lines, and never loses one.
#[derive(Parser)]
#[command(
    after_help = "Values of one filter are alternatives; all filters must match.\n\
    Exit codes: 0 signal or closed output, 1 failure, 2 bad command line, 3 refused, 4 gap"
)]
struct Args {
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:50051")]
    target: String,
    /// Filter; repeatable, as the next three
    #[arg(long, value_name = "NAME")]
    type_name: Vec<String>,
    #[arg(long, value_name = "ID")]
    connector: Vec<String>,
    #[arg(long, value_name = "ID")]
    origin: Vec<String>,
    #[arg(long, value_name = "NAME")]
    endpoint: Vec<String>,
    /// Keeps the cursor
    #[arg(long, value_name = "FILE")]
    cursor_file: Option<PathBuf>,
    /// Where to start without a cursor
    #[arg(long, default_value = "latest", value_parser = ["earliest", "latest"])]
    from: String,
    /// How to go on if events are gone
    #[arg(long, default_value = "fail", value_parser = ["fail", "earliest", "latest"])]
    on_gap: String,
    /// Seconds, 1 to 600
    #[arg(long, default_value = "30", value_parser = clap::value_parser!(u64).range(1..=600))]
    heartbeat: u64,
    /// TLS, verified by these authorities (PEM)
    #[arg(long, value_name = "FILE")]
    tls_ca: Option<PathBuf>,
    /// Holds the bearer token; read anew for each attempt
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

struct Consumer {
    args: Args,
    gateway: Endpoint,
    event: MessageDescriptor,
    /// The next attempt's: its start moves along with what was handled.
    request: SubscribeRequest,
    backoff: Duration,
}

impl Consumer {
    fn new(args: Args) -> Result<Self> {
        let scheme = args.tls_ca.as_ref().map_or("http", |_| "https");
        let mut gateway = Endpoint::from_shared(format!("{scheme}://{}", args.target))?
            .http2_keep_alive_interval(Duration::from_secs(30))
            .keep_alive_timeout(Duration::from_secs(10));
        if let Some(path) = &args.tls_ca {
            let authorities = Certificate::from_pem(read(path)?);
            gateway = gateway.tls_config(ClientTlsConfig::new().ca_certificate(authorities))?;
        }
        args.token_file.as_deref().map(read_token).transpose()?;
        let filter = EventFilter {
            type_names: args.type_name.clone(),
            connector_ids: args.connector.clone(),
            origin_ids: args.origin.clone(),
            endpoints: args.endpoint.clone(),
            ..Default::default()
        };
        let start = match &args.cursor_file {
            Some(path) if path.try_exists()? => Start::AfterCursor(read(path)?),
            _ => position(&args.from),
        };
        let request = SubscribeRequest {
            filters: Vec::from_iter((filter != EventFilter::default()).then_some(filter)),
            start: Some(start),
            heartbeat_interval: Duration::from_secs(args.heartbeat).try_into().ok(),
            ..Default::default()
        };
        let event = DescriptorPool::decode(waggle_stubs::FILE_DESCRIPTOR_SET)?
            .get_message_by_name("waggle.v1.Event")
            .context("the stubs have no Event")?;
        Ok(Self {
            args,
            gateway,
            event,
            request,
            backoff: MIN_BACKOFF,
        })
    }

    /// Returns what the gateway does not mend: an exit code, and why.
    async fn run(&mut self) -> Result<(i32, String)> {
        loop {
            let Err(error) = self.follow().await;
            let status = match error.downcast::<Status>() {
                Ok(status) => status,
                Err(error) if error.is::<Elapsed>() || error.is::<transport::Error>() => {
                    Status::unavailable(format!("{error:#}"))
                }
                Err(error) => return Err(error),
            };
            let why = format!("{:?}: {}", status.code(), status.message());
            let is_gap = status.get_details_error_info().is_some_and(|info| {
                info.domain == "waggle.dev" && GAPS.contains(&info.reason.as_str())
            });
            if is_gap && self.args.on_gap != "fail" {
                self.request.start = Some(position(&self.args.on_gap));
            } else if is_gap {
                return Ok((4, format!("{why}; see --on-gap")));
            } else if PERMANENT.contains(&status.code()) {
                return Ok((3, why));
            }
            let retry = status.get_details_retry_info();
            let asked = retry
                .and_then(|retry| retry.retry_delay)
                .unwrap_or_default();
            // By chance, so that not all consumers come back at once.
            let pause = Duration::max(
                self.backoff.mul_f64(rand::random_range(0.5..1.0)),
                asked.mul_f64(rand::random_range(1.0..1.2)),
            );
            self.backoff = Duration::from_secs(10).min(2 * self.backoff);
            eprintln!("reconnecting in {pause:.1?}: {why}");
            sleep(pause).await;
        }
    }

    /// Handles a stream until it ends, with the reason.
    async fn follow(&mut self) -> Result<Infallible> {
        let mut request = Request::new(self.request.clone());
        if let Some(path) = &self.args.token_file {
            // Whoever exchanges it may be at it.
            let token = read_token(path).map_err(|e| Status::unavailable(format!("{e:#}")))?;
            request.metadata_mut().insert("authorization", token);
        }
        // What brings nothing for so long, not even a heartbeat, is dead.
        let silence = Duration::from_secs(3 * self.args.heartbeat);
        // A connection for each attempt: one that died in silence is not used again.
        let channel = timeout(silence, self.gateway.connect()).await??;
        let mut client = EventServiceClient::new(channel).max_decoding_message_size(64 << 20);
        let stream = timeout(silence, client.subscribe(request)).await??;
        let mut stream = stream.into_inner();
        while let Some(response) = timeout(silence, stream.message()).await?? {
            self.handle(&response)?;
        }
        Err(Status::ok("the gateway ended the stream").into())
    }

    /// Does not await, so that a signal finds it done or not begun.
    fn handle(&mut self, response: &SubscribeResponse) -> Result<()> {
        self.backoff = MIN_BACKOFF;
        let mut lines = String::new();
        for event in &response.events {
            let event = DynamicMessage::decode(self.event.clone(), &*event.encode_to_vec())?;
            lines += &format!("{}\n", serde_json::to_string(&event)?);
        }
        io::stdout().write_all(lines.as_bytes())?;
        io::stdout().flush()?;
        let moved = Some(Start::AfterCursor(response.cursor.clone()));
        if self.request.start != moved
            && let Some(path) = &self.args.cursor_file
        {
            store(path, &response.cursor).with_context(|| path.display().to_string())?;
        }
        self.request.start = moved;
        Ok(())
    }
}

/// In one step, so that the file never holds half a cursor.
fn store(path: &Path, cursor: &str) -> io::Result<()> {
    let mut fresh = path.as_os_str().to_owned();
    fresh.push(".new");
    let mut file = File::create(&fresh)?;
    file.write_all(cursor.as_bytes())?;
    file.sync_all()?;
    fs::rename(fresh, path)
}

fn read(path: &Path) -> Result<String> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    ensure!(!text.trim().is_empty(), "{} is empty", path.display());
    Ok(text.trim().to_owned())
}

fn read_token(path: &Path) -> Result<MetadataValue<Ascii>> {
    let header = format!("Bearer {}", read(path)?).parse();
    header.with_context(|| format!("{} holds no token", path.display()))
}

fn position(name: &str) -> Start {
    let name = format!("START_POSITION_{}", name.to_uppercase());
    Start::Position(
        StartPosition::from_str_name(&name)
            .unwrap_or_default()
            .into(),
    )
}

/// Of what fails here: nobody reads the output any more, or a file cannot be used.
fn code_of(error: &anyhow::Error) -> i32 {
    i32::from(error.downcast_ref().map(io::Error::kind) != Some(ErrorKind::BrokenPipe))
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut consumer = Consumer::new(Args::parse())?;
    let mut terminate = unix::signal(unix::SignalKind::terminate())?;
    let (code, why) = tokio::select! {
        end = consumer.run() => end.unwrap_or_else(|error| (code_of(&error), format!("{error:#}"))),
        _ = terminate.recv() => (0, "ended by SIGTERM".into()),
        _ = ctrl_c() => (0, "ended by SIGINT".into()),
    };
    eprintln!("{why}");
    // Not by returning, which would wait for a name that is being resolved.
    std::process::exit(code)
}
