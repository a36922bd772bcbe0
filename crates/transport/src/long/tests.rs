use http_body_util::{BodyExt, Full};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::sync::{mpsc, oneshot};

use super::streaming::Streaming;
use super::waiting::Waiting;
use super::*;

#[test]
fn an_answer_has_the_form_that_its_request_asked_for_rfc_9112_section_9_3() {
    let asked = |version, connection: &str| {
        let request = Request::builder().version(version);
        let request = request.header(header::CONNECTION, connection).body(());
        Asked::of(&request.unwrap()).head()
    };
    let (old, new) = (Version::HTTP_10, Version::HTTP_11);

    assert_eq!(asked(new, ""), b"GET / HTTP/1.1\r\n\r\n");
    assert_eq!(
        asked(new, "x, Close"),
        b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n"
    );
    assert_eq!(asked(old, ""), b"GET / HTTP/1.0\r\n\r\n");
    assert_eq!(
        asked(old, "Keep-Alive"),
        b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
    );
}

#[tokio::test]
async fn what_came_behind_a_request_is_read_after_what_was_left_of_it() {
    let (stream, mut client) = duplex(64);
    client.write_all(b"last").await.unwrap();
    let mut resumed = Resumed::new(stream, Bytes::from_static(b"first "), Place::default());

    let mut read = [0; 10];
    resumed.read_exact(&mut read).await.unwrap();

    assert_eq!(&read, b"first last");
}

#[test]
fn what_http_did_not_get_to_comes_behind_what_it_has_read() {
    let (stream, _client) = duplex(64);
    let resumed = Resumed::new(stream, Bytes::from_static(b" behind"), Place::default());

    let (_, early) = resumed.into_parts(Bytes::from_static(b"read"));

    assert_eq!(early, "read behind");
}

#[tokio::test]
async fn an_answer_goes_with_a_request_for_it_and_what_came_meanwhile() {
    let (stream, mut client) = duplex(64);
    let (answer, answered) = oneshot::channel();
    let mut waiting = Waiting::new(
        stream,
        b"",
        asked(Http::Http11),
        Box::pin(response(answered)),
    );
    client.write_all(b"GET /next").await.unwrap();
    let turn = std::future::poll_fn(|cx| Poll::Ready(waiting.poll_answer(cx)));
    assert!(turn.await.is_pending());

    answer.send("here").unwrap();
    let response = std::future::poll_fn(|cx| waiting.poll_answer(cx)).await;
    let answered = waiting.answered(response.unwrap());

    assert_eq!(answered.early, b"GET / HTTP/1.1\r\n\r\nGET /next");
    let body = answered.response.into_body().collect().await.unwrap();
    assert_eq!(body.to_bytes(), "here");
}

#[tokio::test]
async fn a_client_that_hangs_up_waits_no_more() {
    let (stream, client) = duplex(64);
    let (_answer, answered) = oneshot::channel();
    let mut waiting = Waiting::new(
        stream,
        b"",
        asked(Http::Http11),
        Box::pin(response(answered)),
    );

    drop(client);

    let response = std::future::poll_fn(|cx| waiting.poll_answer(cx)).await;
    assert!(response.is_none());
}

#[tokio::test]
async fn a_stream_is_written_in_chunks_up_to_the_last_rfc_9112_section_7_1() {
    let written = written(Http::Http11, &["hello", "world"]).await;

    assert_eq!(written, "5\r\nhello\r\n5\r\nworld\r\n0\r\n\r\n");
}

#[tokio::test]
async fn a_stream_of_http_1_0_ends_with_its_connection() {
    let written = written(Http::Http10, &["hello", "world"]).await;

    assert_eq!(written, "helloworld");
}

#[tokio::test]
async fn a_stream_waits_for_a_client_that_reads_slowly() {
    let long = "x".repeat(100_000);

    let written = written(Http::Http10, &[&long, "the end"]).await;

    assert_eq!(written, long + "the end");
}

#[tokio::test]
async fn a_stream_ends_with_its_client() {
    let (stream, client) = duplex(64);
    let (_say, said) = mpsc::unbounded_channel();
    let mut streaming = Streaming::new(stream, b"", asked(Http::Http11), Said(said).boxed_unsync());

    drop(client);

    std::future::poll_fn(|cx| streaming.poll_end(cx)).await;
}

/// What a client reads of a stream through a pipe of 64 bytes. Each part is said when all before it was read.
async fn written(http: Http, parts: &[&str]) -> String {
    let (stream, mut client) = duplex(64);
    let (say, said) = mpsc::unbounded_channel();
    let mut streaming = Streaming::new(stream, b"", asked(http), Said(said).boxed_unsync());
    let streaming = tokio::spawn(async move {
        std::future::poll_fn(|cx| streaming.poll_end(cx)).await;
    });
    let mut read = Vec::new();
    for part in parts {
        say.send((*part).to_owned()).unwrap();
        let mut buffer = [0; 64];
        while !String::from_utf8_lossy(&read).trim_end().ends_with(part) {
            let len = client.read(&mut buffer).await.unwrap();
            read.extend_from_slice(&buffer[..len]);
        }
    }
    drop(say);
    client.read_to_end(&mut read).await.unwrap();
    streaming.await.unwrap();
    String::from_utf8(read).unwrap()
}

/// A body that says what it is sent.
struct Said(mpsc::UnboundedReceiver<String>);

impl HttpBody for Said {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let said = self.0.poll_recv(cx);
        said.map(|said| said.map(|said| Ok(Frame::data(said.into()))))
    }
}

fn asked(http: Http) -> Asked {
    Asked {
        http,
        after: After::KeepAlive,
    }
}

async fn response(answered: oneshot::Receiver<&'static str>) -> Response<Body> {
    let text = answered.await.unwrap_or_default();
    Response::new(Full::new(Bytes::from(text)).boxed_unsync())
}
