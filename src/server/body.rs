use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

pin_project! {
    /// Body of a response of the application, or of a rejection.
    #[project = Projection]
    pub(super) enum AnyBody<B> {
        App {
            #[pin]
            body: B,
        },
        Refusal {
            text: Bytes,
        },
    }
}

/// Piece of an [`AnyBody`].
#[derive(Debug)]
pub(super) enum Piece<D> {
    App(D),
    Refusal(Bytes),
}

impl<B: Body> Body for AnyBody<B> {
    type Data = Piece<B::Data>;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Piece<B::Data>>, B::Error>>> {
        match self.project() {
            Projection::App { body } => body.poll_frame(cx).map_ok(|frame| frame.map_data(Piece::App)),
            Projection::Refusal { text } => {
                let text = Some(std::mem::take(text)).filter(|text| !text.is_empty());
                Poll::Ready(text.map(|text| Ok(Frame::data(Piece::Refusal(text)))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::App { body } => body.is_end_stream(),
            Self::Refusal { text } => text.is_empty(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::App { body } => body.size_hint(),
            Self::Refusal { text } => SizeHint::with_exact(text.len() as u64),
        }
    }
}

impl<D: Buf> Buf for Piece<D> {
    fn remaining(&self) -> usize {
        match self {
            Self::App(data) => data.remaining(),
            Self::Refusal(text) => text.remaining(),
        }
    }

    fn chunk(&self) -> &[u8] {
        match self {
            Self::App(data) => data.chunk(),
            Self::Refusal(text) => text.chunk(),
        }
    }

    fn chunks_vectored<'a>(&'a self, to: &mut [std::io::IoSlice<'a>]) -> usize {
        match self {
            Self::App(data) => data.chunks_vectored(to),
            Self::Refusal(text) => text.chunks_vectored(to),
        }
    }

    fn advance(&mut self, count: usize) {
        match self {
            Self::App(data) => data.advance(count),
            Self::Refusal(text) => text.advance(count),
        }
    }
}
