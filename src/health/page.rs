//! The page for Prometheus: `GET /metrics`, on this machine only.

use crate::reporter::Reporter;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tracing::{debug, error, info, warn};

/// Visitors at a time; others wait.
const VISITORS: usize = 4;
/// Longest head of a request, in bytes, and most headers in it.
const HEAD: usize = 8 * 1024;
const HEADERS: usize = 64;
/// How long a visitor may take, from the first byte of the request to the last one of the answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// How soon to try again what the system did not let us: to listen, or to take a connection.
const PAUSE: Duration = Duration::from_secs(2);

/// What Prometheus asks for, and what it is given (OpenMetrics 1.0).
const PATH: &str = "/metrics";
const CONTENT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The page at work. It is gone when this is dropped.
pub struct Page(JoinHandle<()>);

impl Drop for Page {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Serves the page as soon as it can. To be called in a runtime.
pub fn serve(listen: SocketAddr, reporter: Reporter) -> Page {
    Page(crate::task::spawn(receive(listen, reporter)))
}

/// Nobody's pump shall stand still for want of a page: a port that is in use is tried on and on.
async fn bind(listen: SocketAddr) -> TcpListener {
    let mut told = false;
    loop {
        match TcpListener::bind(listen).await {
            Ok(listener) => return listener,
            Err(error) => {
                if !std::mem::replace(&mut told, true) {
                    error!("metrics: cannot listen on {listen}, tried again every {PAUSE:?}: {error}");
                }
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn receive(listen: SocketAddr, reporter: Reporter) {
    let listener = bind(listen).await;
    info!("metrics: http://{}{PATH}", listener.local_addr().unwrap_or(listen));
    let room = Arc::new(Semaphore::new(VISITORS));
    // It is never closed.
    while let Ok(seat) = Arc::clone(&room).acquire_owned().await {
        match listener.accept().await {
            Ok((visitor, _)) => {
                let reporter = reporter.clone();
                crate::task::spawn(async move {
                    let _seat = seat;
                    match timeout(PATIENCE, answer(visitor, &reporter)).await {
                        Ok(Ok(())) => {}
                        Ok(Err(error)) => debug!("metrics: {error}"),
                        Err(_) => debug!("metrics: a visitor took more than {PATIENCE:?}"),
                    }
                });
            }
            // Of the connection, or of the process: too many open files, say.
            Err(error) => {
                warn!("metrics: {error}");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn answer(mut visitor: TcpStream, reporter: &Reporter) -> std::io::Result<()> {
    let mut head = Vec::new();
    let (status, body) = loop {
        if let Some(asked) = asked(&head) {
            break match asked {
                Asked::Page => match reporter.health().metrics() {
                    Ok(page) => ("200 OK", page),
                    Err(_) => ("500 Internal Server Error", "the page could not be written\n".to_owned()),
                },
                Asked::Other => ("404 Not Found", format!("there is {PATH} here\n")),
                Asked::Method => ("405 Method Not Allowed", "this page can be read only\n".to_owned()),
                Asked::Nonsense => ("400 Bad Request", "this is no HTTP request\n".to_owned()),
            };
        }
        if head.len() >= HEAD {
            break ("431 Request Header Fields Too Large", "the request is too long\n".to_owned());
        }
        if visitor.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
    };
    let content = if status.starts_with("200") { CONTENT } else { "text/plain; charset=utf-8" };
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {content}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
    visitor.write_all(answer.as_bytes()).await?;
    visitor.shutdown().await
}

#[derive(Debug, PartialEq)]
enum Asked {
    Page,
    Other,
    Method,
    Nonsense,
}

/// What a request asks for; `None` while its head is not complete.
fn asked(head: &[u8]) -> Option<Asked> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(head) {
        Ok(httparse::Status::Partial) => None,
        Ok(httparse::Status::Complete(_)) => {
            let path = request.path.unwrap_or_default();
            Some(match request.method {
                _ if path.split('?').next() != Some(PATH) => Asked::Other,
                Some("GET") => Asked::Page,
                _ => Asked::Method,
            })
        }
        Err(_) => Some(Asked::Nonsense),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests() {
        for (head, expected) in [
            ("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n", Some(Asked::Page)),
            ("GET /metrics?name=halyard HTTP/1.0\r\n\r\n", Some(Asked::Page)),
            ("GET / HTTP/1.1\r\n\r\n", Some(Asked::Other)),
            ("GET /metrics/ HTTP/1.1\r\n\r\n", Some(Asked::Other)),
            ("POST /metrics HTTP/1.1\r\n\r\n", Some(Asked::Method)),
            ("GET /metrics HTTP/1.1\r\nHost: a\r\n", None),
            ("", None),
            ("\u{16}\u{3}\u{1}", Some(Asked::Nonsense)),
            ("GET /metrics SMTP\r\n\r\n", Some(Asked::Nonsense)),
        ] {
            assert_eq!(asked(head.as_bytes()), expected, "{head:?}");
        }
    }
}
