//! HTTP/1 with a client: one request after the other on a socket whose heads were checked.
//!
//! The connection, the exchange and both bodies are one task: the exchange is polled where it stands, a request's body is taken
//! out of the connection's own buffer, and an answer leaves in as few writes as it has pieces. What is well framed was decided
//! by [`Strict`] before; here a head becomes a request, and an answer gets the one framing that fits it.

mod answer;
mod request;
mod wire;

use std::{
    cell::{Cell, RefCell},
    future::{Future, poll_fn},
    io,
    pin::{Pin, pin},
    rc::Rc,
    task::{Poll, ready},
};

use http::{Method, Request, Response, StatusCode, Version};
use http_body::Body as _;
use tokio::sync::oneshot;

use super::{
    arrival::Stream,
    body::Answer,
    strict::Strict,
    upgrade::{self, Near},
};
use answer::{AskedFor, Framing};
use request::RequestHead;
pub(super) use wire::ClientBody;
use wire::Wire;

/// What bounds a client's head.
#[derive(Debug, Clone, Copy)]
pub(super) struct HeadLimits {
    /// Bytes from the request line to the empty line.
    pub(super) bytes: usize,
    /// Fields.
    pub(super) fields: usize,
}

/// How a connection came to its end.
#[derive(Debug)]
pub(super) enum End {
    /// Between two requests, or as one of both sides said.
    Closed,
    /// Another protocol is spoken on it now.
    Upgraded,
    /// The client was told that its head is none.
    Refused(StatusCode),
    /// Somewhere else.
    Broken(io::Error),
}

/// A client's request, as the exchange takes it.
pub(super) type Asked = Request<ClientBody>;

/// Serves requests until the connection ends; the one under way is the last once `is_leaving`.
pub(super) async fn serve<E, F>(
    socket: Strict<Stream>,
    limits: HeadLimits,
    is_leaving: &Cell<bool>,
    exchange: E,
) -> End
where
    E: Fn(Asked, Option<oneshot::Receiver<Near>>) -> F,
    F: Future<Output = Response<Answer>>,
{
    let wire = Rc::new(RefCell::new(Wire::new(socket)));
    loop {
        let head = match poll_fn(|cx| wire.borrow_mut().poll_head(limits, is_leaving.get(), cx)).await {
            Ok(Some(head)) => head,
            Ok(None) => return close(&wire, End::Closed).await,
            Err(wire::NoHead::Refused(status)) => return refuse(&wire, status).await,
            Err(wire::NoHead::Broken(error)) => return End::Broken(error),
        };
        match answer(&wire, head, is_leaving, &exchange).await {
            Ok(Next::Request) => {}
            Ok(Next::Close) => return close(&wire, End::Closed).await,
            Ok(Next::Protocol(hand)) => return hand_over(wire, hand),
            Err(error) => return End::Broken(error),
        }
    }
}

/// Ends a connection on which everything was said. One that broke off ends without a word: over TLS that is how a client tells
/// half an answer from a whole one.
async fn close(wire: &RefCell<Wire>, end: End) -> End {
    // Whoever still takes a body takes no more of it.
    wire.borrow_mut().finish_body();
    // Whoever left already does not hear it.
    let _ = poll_fn(|cx| wire.borrow_mut().poll_shutdown(cx)).await;
    end
}

/// What follows an answer.
enum Next {
    Request,
    Close,
    Protocol(oneshot::Sender<Near>),
}

async fn answer<E, F>(
    wire: &Rc<RefCell<Wire>>,
    head: RequestHead,
    is_leaving: &Cell<bool>,
    exchange: &E,
) -> io::Result<Next>
where
    E: Fn(Asked, Option<oneshot::Receiver<Near>>) -> F,
    F: Future<Output = Response<Answer>>,
{
    let RequestHead { head, body, keeps_alive, expects_continue } = head;
    let asked =
        AskedFor { is_head: head.method == Method::HEAD, is_http10: head.version == Version::HTTP_10 };
    let (hand, near) = upgrade::is_websocket(&head).then(oneshot::channel).unzip();
    let body = ClientBody::begin(wire, body, expects_continue);
    let response = {
        let mut exchange = pin!(exchange(Request::from_parts(head, body), near));
        poll_fn(|cx| match exchange.as_mut().poll(cx) {
            Poll::Ready(response) => Poll::Ready(Ok(response)),
            Poll::Pending => wire.borrow_mut().poll_gone(cx).map(Err),
        })
        .await?
    };
    let framing = Framing::of(&response, asked);
    // A body that nobody took and that has not arrived is in the way, unless it is still being taken while the answer comes.
    let is_stuck =
        response.body().is_own() && !poll_fn(|cx| Poll::Ready(wire.borrow_mut().finish_body_now(cx))).await;
    let keeps_alive = keeps_alive && !is_leaving.get() && !is_stuck && framing != Framing::UntilClose;
    let is_switching = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    let (head, body) = response.into_parts();
    framing.put_head(wire.borrow_mut().begin_answer(), &head, keeps_alive, asked);
    write(wire, body, framing).await?;
    match hand.filter(|_| is_switching) {
        Some(hand) => Ok(Next::Protocol(hand)),
        None if keeps_alive && wire.borrow_mut().finish_body() => Ok(Next::Request),
        None => Ok(Next::Close),
    }
}

/// Writes an answer's body behind its head, in as few pieces as it comes in.
async fn write(wire: &RefCell<Wire>, body: Answer, mut framing: Framing) -> io::Result<()> {
    let mut body = Some(body).filter(|_| !matches!(framing, Framing::Bodiless(_)));
    poll_fn(|cx| {
        while let Some(rest) = &mut body {
            if wire.borrow().has_enough() && wire.borrow_mut().poll_write(cx)?.is_pending() {
                // A client that sends before it reads would wait for us, and we for it.
                rest.go_on(cx);
                return Poll::Pending;
            }
            let is_over = match Pin::new(&mut *rest).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    framing.put(wire.borrow_mut().output(), &frame.into_data().unwrap_or_default())?;
                    rest.is_end_stream()
                }
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(io::Error::other(error))),
                Poll::Ready(None) => true,
                Poll::Pending => {
                    ready!(wire.borrow_mut().poll_write(cx))?;
                    return wire.borrow_mut().poll_gone(cx).map(Err);
                }
            };
            if is_over {
                framing.end(wire.borrow_mut().output())?;
                body = None;
            }
        }
        wire.borrow_mut().poll_write(cx)
    })
    .await
}

async fn refuse(wire: &RefCell<Wire>, status: StatusCode) -> End {
    let mut response = Response::new(()).into_parts().0;
    response.status = status;
    let asked = AskedFor { is_head: false, is_http10: false };
    Framing::Length(0).put_head(wire.borrow_mut().output(), &response, false, asked);
    match poll_fn(|cx| wire.borrow_mut().poll_write(cx)).await {
        Ok(()) => close(wire, End::Refused(status)).await,
        Err(error) => End::Broken(error),
    }
}

fn hand_over(wire: Rc<RefCell<Wire>>, hand: oneshot::Sender<Near>) -> End {
    // Nobody else has it: the request had no body, and its exchange is over.
    if let Some(wire) = Rc::into_inner(wire) {
        let (socket, ahead) = wire.into_inner().into_parts();
        // Who should take it may have gone; then both sockets are closed.
        let _ = hand.send(Near { socket, ahead });
    }
    End::Upgraded
}
