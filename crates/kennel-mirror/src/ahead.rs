//! Listings that a task of their own reads ahead, and whose end is said.

use futures::{Stream, stream};
use tokio::{sync::mpsc, task::JoinSet};

use crate::MirrorError;

/// What the task says: a piece, the end, or what went wrong.
pub(crate) type Said<T> = Result<Option<T>, MirrorError>;

/// The pieces that a task sends. Silence is no end: a task that is gone before it said so is an error.
pub(crate) fn pieces<T: Send>(
    task: JoinSet<()>,
    receiver: mpsc::Receiver<Said<T>>,
) -> impl Stream<Item = Result<T, MirrorError>> + Send {
    stream::try_unfold((task, receiver), |(mut task, mut receiver)| async move {
        match receiver.recv().await {
            Some(said) => Ok(said?.map(|piece| (piece, (task, receiver)))),
            None => match task.join_next().await {
                Some(Err(join)) if join.is_panic() => std::panic::resume_unwind(join.into_panic()),
                _ => Err(MirrorError::Listing {
                    place: "the source".into(),
                    what: "it was given up".into(),
                }),
            },
        }
    })
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;

    use super::*;

    async fn told(said: Vec<Said<u8>>) -> Vec<Result<u8, MirrorError>> {
        let (sender, receiver) = mpsc::channel(1);
        let mut task = JoinSet::new();
        task.spawn(async move {
            for piece in said {
                sender.send(piece).await.unwrap();
            }
        });
        pieces(task, receiver).collect().await
    }

    #[tokio::test]
    async fn silence_is_no_end() {
        let whole = told(vec![Ok(Some(1)), Ok(Some(2)), Ok(None)]).await;
        assert!(matches!(whole.as_slice(), [Ok(1), Ok(2)]));
        let cut = told(vec![Ok(Some(1))]).await;
        assert!(matches!(
            cut.as_slice(),
            [Ok(1), Err(MirrorError::Listing { .. })]
        ));
    }
}
