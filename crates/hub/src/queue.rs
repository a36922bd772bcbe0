//! What waits in an outbox.

#![expect(
    clippy::box_collection,
    reason = "in line for one item, a queue costs no more than that item"
)]

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::Bytes;
use smallvec::SmallVec;

/// Buffers given to one vectored write.
const BUFFERS_MAX: usize = 64;

/// A queue that is in line for one item, which is what a reader that keeps up has. An empty item stands for none.
pub(crate) enum Queue {
    One(Bytes),
    Many(Box<VecDeque<Bytes>>),
}

impl Queue {
    pub(crate) const EMPTY: Self = Self::One(Bytes::new());

    pub(crate) fn push(&mut self, item: Bytes) {
        match self {
            Self::One(first) if first.is_empty() => *first = item,
            Self::One(first) => {
                *self = Self::Many(Box::new(VecDeque::from([std::mem::take(first), item])));
            }
            Self::Many(items) => items.push_back(item),
        }
    }

    pub(crate) fn push_first(&mut self, item: Bytes) {
        match self {
            Self::One(first) if first.is_empty() => *first = item,
            Self::One(first) => {
                *self = Self::Many(Box::new(VecDeque::from([item, std::mem::take(first)])));
            }
            Self::Many(items) => items.push_front(item),
        }
    }

    pub(crate) fn pop(&mut self) -> Option<Bytes> {
        match self {
            Self::One(first) if first.is_empty() => None,
            Self::One(first) => Some(std::mem::take(first)),
            Self::Many(items) => {
                let first = items.pop_front();
                if items.is_empty() {
                    *self = Self::EMPTY;
                }
                first
            }
        }
    }

    pub(crate) fn first_mut(&mut self) -> Option<&mut Bytes> {
        match self {
            Self::One(first) if first.is_empty() => None,
            Self::One(first) => Some(first),
            Self::Many(items) => items.front_mut(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        matches!(self, Self::One(only) if only.is_empty())
    }

    pub(crate) fn bytes(&self) -> u32 {
        match self {
            Self::One(first) => first.len() as u32,
            Self::Many(items) => items.iter().map(|item| item.len() as u32).sum(),
        }
    }

    pub(crate) fn buffers<'a>(&'a self, buffers: &mut SmallVec<[IoSlice<'a>; 4]>) {
        match self {
            Self::One(first) if first.is_empty() => {}
            Self::One(first) => buffers.push(IoSlice::new(first)),
            Self::Many(items) => {
                let items = items.iter().take(BUFFERS_MAX);
                buffers.extend(items.map(|item| IoSlice::new(item)));
            }
        }
    }
}
