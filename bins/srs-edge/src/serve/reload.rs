//! Takes over another configuration while streams run (spec 1.8).

use std::path::PathBuf;
use std::sync::Arc;

use edge_cluster::config::table::Reload;
use edge_cluster::config::{EdgeConfig, difference};

use super::start::log_target;
use crate::app::App;
use crate::files::Mark;
use crate::source::Source;
use crate::tool::describe;

/// Reads the configuration again and puts it to use, wholly or not at all. Returns the files that it is in.
pub(super) async fn reload(app: &App, source: &Source) -> Vec<(PathBuf, Mark)> {
    app.reloads.begin();
    let (result, files) = source.read_and_list();
    let result = match result {
        Ok(loaded) => {
            for warning in &loaded.warnings {
                app.log.warn(app.log.cid(), &format!("configuration: {warning}"));
            }
            apply(app, Arc::new(loaded.config)).await
        }
        Err(error) => {
            for diagnostic in error.diagnostics() {
                app.log.error(app.log.cid(), &format!("configuration: {diagnostic}"));
            }
            Err(error.to_string())
        }
    };
    match &result {
        Ok(()) => app.log.info(app.log.cid(), "configuration reloaded"),
        Err(reason) => {
            app.log.error(app.log.cid(), &format!("the configuration stays as it was: {reason}"));
        }
    }
    app.reloads.end(&result);
    files
}

async fn apply(app: &App, new: Arc<EdgeConfig>) -> Result<(), String> {
    let old = app.config();
    let found = difference(&old, &new);
    found.check().map_err(|error| error.to_string())?;
    // The only step that can fail comes first: new addresses are bound.
    app.edge.reload(Arc::clone(&new)).await.map_err(|error| error.to_string())?;
    for (line, when) in describe(&found) {
        let line = format!("reload: {line}");
        match when {
            Reload::Restart => app.log.warn(app.log.cid(), &line),
            _ => app.log.info(app.log.cid(), &line),
        }
    }
    if old.log != new.log {
        app.log.set_level(new.log.level);
        app.log.reopen(log_target(&new));
    }
    app.configuration.set(new);
    Ok(())
}
