//! The input that each of the monitors is: a board, and what is shown of a plugin.

use super::Board;
use futures_util::future::BoxFuture;
use logweir_engine::plugin::{BuildContext, Input, InputContext, PluginInfo, Plugins, StartError};
use std::sync::Arc;

/// Shows all plugins now and at each interval, until it is told to stop.
pub(crate) struct Monitor {
    board: Option<Board>,
    plugins: Arc<Plugins>,
    show: fn(&PluginInfo, &mut Board),
}

impl Monitor {
    /// `show` sets the metrics of one plugin.
    pub(crate) fn input(
        board: Board,
        context: &BuildContext<'_>,
        show: fn(&PluginInfo, &mut Board),
    ) -> Box<dyn Input> {
        Box::new(Self { board: Some(board), plugins: Arc::clone(&context.shared.plugins), show })
    }
}

impl Input for Monitor {
    fn start(&mut self, context: InputContext) -> BoxFuture<'_, Result<(), StartError>> {
        if let Some(mut board) = self.board.take() {
            let (plugins, show, stop) = (Arc::clone(&self.plugins), self.show, context.stop.clone());
            context.tasks.spawn(async move {
                loop {
                    board.round(|board| plugins.all().iter().for_each(|info| show(info, board)));
                    tokio::select! {
                        biased;
                        () = stop.cancelled() => return,
                        () = tokio::time::sleep(board.interval()) => {}
                    }
                }
            });
        }
        Box::pin(async { Ok(()) })
    }
}
