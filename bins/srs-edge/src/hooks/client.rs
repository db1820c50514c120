//! The HTTP client of the hooks.

use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::header::{CONTENT_TYPE, USER_AGENT};
use hyper::{Method, Request};
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::answer::{Refusal, judge};
use super::breaker::{Breaker, Outcome};
use crate::clock;

/// Larger answers are no answers.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Connections to one server that wait for their next request.
const IDLE_MAX: usize = 32;
/// And for how long.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// Posts to hooks, over connections that are kept. Never follows a redirect: who answers for `url` is configured.
pub(crate) struct Client {
    http: HyperClient<HttpConnector, Full<Bytes>>,
    breaker: Mutex<Breaker>,
}

/// What went wrong with a request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Failure {
    /// What it was.
    pub(crate) refusal: Refusal,
    /// Whether the URL is left alone from now on.
    pub(crate) left_alone: bool,
}

impl Client {
    pub(crate) fn new() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let http = HyperClient::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(IDLE_MAX)
            .build(connector);
        Self { http, breaker: Mutex::default() }
    }

    /// Posts `body` to `url` and judges the answer. `limit` is the longest wait for connecting, sending and the whole
    /// answer (spec 8).
    pub(crate) async fn post(&self, url: &str, body: Bytes, limit: Duration) -> Result<(), Failure> {
        let broken = |text: &str| Failure { refusal: Refusal::Broken(text.to_owned()), left_alone: false };
        if !self.breaker(|breaker| breaker.may_ask(url, clock::now())) {
            return Err(broken("it failed repeatedly and is left alone for some seconds"));
        }
        let result = match tokio::time::timeout(limit, self.exchange(url, body)).await {
            Ok(result) => result,
            Err(_) => Err(Refusal::Broken(format!("no answer within {} s", limit.as_secs_f64()))),
        };
        let outcome = match &result {
            Err(Refusal::Broken(_)) => Outcome::Failed,
            _ => Outcome::Answered,
        };
        let left_alone = self.breaker(|breaker| breaker.learn(url, outcome, clock::now()));
        result.map_err(|refusal| Failure { refusal, left_alone })
    }

    async fn exchange(&self, url: &str, body: Bytes) -> Result<(), Refusal> {
        let broken = |error: &dyn std::error::Error| Refusal::Broken(chain(error));
        let request = Request::builder()
            .method(Method::POST)
            .uri(url)
            .header(CONTENT_TYPE, "application/json")
            .header(USER_AGENT, crate::SIGNATURE)
            .body(Full::new(body))
            .map_err(|error| broken(&error))?;
        let response = self.http.request(request).await.map_err(|error| broken(&error))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX)
            .collect()
            .await
            .map_err(|error| broken(error.as_ref()))?;
        judge(status, &body.to_bytes())
    }

    fn breaker<T>(&self, work: impl FnOnce(&mut Breaker) -> T) -> T {
        // A table of counters is usable whatever happened to the thread that held it.
        work(&mut self.breaker.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}

/// `client error (Connect): tcp connect error: Connection refused (os error 111)`.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let words = cause.to_string();
        if !text.ends_with(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn row_19_a_hook_that_never_answers_is_given_up() {
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", silent.local_addr().unwrap());
        let start = tokio::time::Instant::now();
        let failure = Client::new().post(&url, Bytes::new(), LIMIT).await.unwrap_err();
        let broken = Refusal::Broken("no answer within 30 s".into());
        assert_eq!(failure, Failure { refusal: broken, left_alone: false });
        assert_eq!(start.elapsed().as_secs(), 30);
    }

    #[tokio::test]
    async fn row_19_addresses_that_cannot_be_asked_say_why() {
        for (url, reason) in [("https://127.0.0.1/", "scheme is not http"), ("no url", "invalid uri")] {
            let failure = Client::new().post(url, Bytes::new(), LIMIT).await.unwrap_err();
            assert!(failure.refusal.to_string().contains(reason), "{url}: {}", failure.refusal);
        }
    }
}
