//! The admin listener, asked over real HTTP.

use std::sync::{Arc, Mutex};

use super::{Admin, Bound, State, Status};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

struct Server {
    address: std::net::SocketAddr,
    status: Arc<Mutex<Status>>,
    copies: change::Copies,
    end: tokio::sync::oneshot::Sender<()>,
    task: tokio::task::JoinHandle<()>,
}

impl Server {
    async fn start(token: Option<&str>) -> Self {
        let bound = Bound::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = bound.address();
        let status = Arc::new(Mutex::new(Status { name: "shop".into(), alive: true, ..Status::default() }));
        let shown = Arc::clone(&status);
        let copies = change::Copies::default();
        let admin = Admin {
            status: Arc::new(move || shown.lock().unwrap().clone()),
            metrics: Arc::new(|| "# EOF\n".into()),
            copies: copies.clone(),
            releases: pipeline::Releases::default(),
            token: token.map(Into::into),
        };
        let (end, ended) = tokio::sync::oneshot::channel();
        let task = tokio::spawn(async move {
            let ended = async { drop(ended.await) };
            bound.serve(admin, ended).await.unwrap();
        });
        Self { address, status, copies, end, task }
    }

    fn set(&self, state: State, alive: bool, reason: Option<&str>) {
        let mut status = self.status.lock().unwrap();
        (status.state, status.alive, status.reason) = (state, alive, reason.map(Into::into));
    }

    async fn ask(&self, method: &str, path: &str, header: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request = format!("{method} {path} HTTP/1.1\r\nhost: headwater\r\nconnection: close\r\n{header}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    async fn get(&self, path: &str) -> (u16, String) {
        self.ask("GET", path, "").await
    }

    async fn stop(self) {
        self.end.send(()).unwrap();
        self.task.await.unwrap();
    }
}

#[tokio::test]
async fn health_fails_only_when_the_engine_is_dead_and_readiness_says_why() {
    let server = Server::start(None).await;
    for (state, alive, reason, healthy, ready, text) in [
        (State::Starting, true, None, 200, 503, "starting\n"),
        (State::Streaming, true, None, 200, 200, "streaming\n"),
        (State::Retrying, true, Some("no broker answers"), 200, 503, "retrying: no broker answers\n"),
        (State::Draining, true, None, 200, 503, "draining\n"),
        (State::Streaming, false, None, 500, 503, "streaming\n"),
    ] {
        server.set(state, alive, reason);
        assert_eq!(server.get("/healthz").await.0, healthy, "{state:?}");
        assert_eq!(server.get("/readyz").await, (ready, text.to_owned()));
    }
    server.stop().await;
}

#[tokio::test]
async fn status_page_and_metrics_are_served_and_nothing_else() {
    let server = Server::start(None).await;
    server.set(State::Stopped, true, Some("the slot is gone"));
    let (code, body) = server.get("/status").await;
    assert_eq!(code, 200);
    assert!(body.contains(r#""name":"shop""#) && body.contains(r#""state":"stopped""#), "{body}");
    let (code, body) = server.get("/").await;
    assert_eq!(code, 200);
    assert!(body.contains("<h1>shop</h1>") && body.contains("the slot is gone"), "{body}");
    assert_eq!(server.get("/metrics").await, (200, "# EOF\n".into()));
    assert_eq!(server.get("/nothing").await.0, 404);
    assert_eq!(server.ask("POST", "/status", "content-length: 0\r\n").await.0, 405);
    server.stop().await;
}

#[tokio::test]
async fn a_token_guards_all_but_health() {
    let server = Server::start(Some("hunter2")).await;
    for path in ["/", "/status", "/metrics"] {
        let (code, body) = server.get(path).await;
        assert_eq!(code, 401, "{path}");
        assert!(!body.contains("hunter2"));
        assert_eq!(server.ask("GET", path, "authorization: Bearer hunter3\r\n").await.0, 401);
        assert_eq!(server.ask("GET", path, "authorization: Bearer hunter2\r\n").await.0, 200);
        assert_eq!(server.ask("GET", path, "authorization: Basic bWU6aHVudGVyMg==\r\n").await.0, 200);
    }
    assert_eq!(server.get("/healthz").await.0, 200);
    server.stop().await;
}

#[tokio::test]
async fn an_address_in_use_is_named_with_the_way_out() {
    let server = Server::start(None).await;
    let error = Bound::bind(server.address).await.unwrap_err();
    assert!(error.to_string().contains(&server.address.to_string()) && error.to_string().contains("--admin-listen"));
    server.stop().await;
}

#[tokio::test]
async fn a_wish_is_answered_when_the_source_says_that_it_is_durable() {
    let server = Server::start(None).await;
    let copies = server.copies.clone();
    let post = |body: &str, more: &str| {
        format!("content-type: application/json\r\ncontent-length: {}\r\n{more}\r\n{body}", body.len())
    };
    let source = std::thread::spawn(move || {
        let mut wishes = Vec::new();
        while wishes.len() < 2 {
            for asked in copies.take_asked() {
                let answer = if wishes.is_empty() { Ok("done".to_owned()) } else { Err("no such table".to_owned()) };
                asked.answer.send(answer).unwrap();
                wishes.push(asked.wish);
            }
            std::thread::yield_now();
        }
        wishes
    });
    let again = post(r#"{"action":"again","table":"public.orders","where":"id > 5"}"#, "");
    assert_eq!(server.ask("POST", "/snapshot", &again).await, (200, r#"{"done":"done"}"#.to_owned()));
    let pause = post(r#"{"action":"pause"}"#, "");
    assert_eq!(server.ask("POST", "/snapshot", &pause).await, (409, r#"{"error":"no such table"}"#.to_owned()));
    let wishes = source.join().unwrap();
    let (table, condition) = ("public.orders".to_owned(), Some("id > 5".to_owned()));
    assert_eq!(wishes, [change::Wish::Again { table, condition }, change::Wish::Pause { table: None }]);

    // A page in a browser is nobody who may command.
    let page = post(r#"{"action":"pause"}"#, "origin: http://headwater\r\n");
    assert_eq!(server.ask("POST", "/snapshot", &page).await.0, 403);
    let form = "content-type: text/plain\r\ncontent-length: 18\r\n\r\n{\"action\":\"pause\"}";
    assert_eq!(server.ask("POST", "/snapshot", form).await.0, 415);
    for wrong in [r#"{"action":"again"}"#, r#"{"action":"pause","where":"x"}"#, r#"{"action":"stop"}"#] {
        assert_eq!(server.ask("POST", "/snapshot", &post(wrong, "")).await.0, 422, "{wrong}");
    }
    assert!(server.copies.take_asked().is_empty());
    server.stop().await;

    let server = Server::start(Some("hunter2")).await;
    assert_eq!(server.ask("POST", "/snapshot", &pause).await.0, 401);
    assert!(server.copies.take_asked().is_empty());
    server.stop().await;
}
