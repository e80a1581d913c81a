//! What the server answers, as text for people.

mod page_history;

use edge_isr::config::StoreConfig;

use crate::admin::{
    DeadLetterView, GraphView, ModeView, PageView, PlanView, ReceiptList, ReceiptView, TagView,
    WarmAnswer,
};
use crate::output::{Column, Lines, Output, table};

pub(crate) use self::page_history::page_history;

/// What a store is and where, without its URL, which may hold a password.
pub(crate) fn store(store: &StoreConfig) -> String {
    match store {
        StoreConfig::Sqlite { path, .. } => format!("sqlite, {}", path.display()),
        other => other.kind().to_owned(),
    }
}

/// A revalidation as it stands.
pub(crate) fn receipt(receipt: &ReceiptView, output: Output) -> String {
    let targets: Vec<String> = receipt.targets.iter().map(target).collect();
    let phase = match (receipt.phase.as_str(), receipt.settled) {
        ("failed", _) => output.bad("failed"),
        ("done", true) => output.good("done, settled"),
        (phase, true) => output.good(&format!("{phase}, settled")),
        (phase, false) => output.notable(phase),
    };
    let mut text = Lines::default();
    text.line(format!(
        "{}  {}",
        output.heading("revalidation"),
        receipt.id
    ));
    text.line(format!("  targets  {}", targets.join(", ")));
    let softened = receipt.softened_above.map(|above| {
        format!(
            ", and soft where a tier can: it concerns more than {}",
            pages(above)
        )
    });
    text.line(format!(
        "  mode     {}{}",
        mode(receipt.mode),
        softened.unwrap_or_default()
    ));
    text.line(format!("  source   {}", receipt.source.replace('_', " ")));
    if let Some(made) = &receipt.made {
        text.line(format!("  made     {}", to_the_second(made)));
    }
    if let Some(at) = &receipt.at {
        text.line(format!("  for      {at}"));
    }
    text.line(format!("  state    {phase}{}", why_held(receipt)));
    if receipt.phase == "held" {
        text.line(format!(
            "           `edge-isr release {}` lets it go on",
            receipt.id
        ));
    }
    if let Some(error) = &receipt.error {
        text.line(format!("  error    {}", output.bad(error)));
    }
    if !receipt.tiers.is_empty() {
        text.gap();
        text.block(&tiers(receipt), 1);
    }
    let warm = &receipt.warm;
    for page in &warm.not_warmed {
        let via = page.via.as_deref().map(|via| format!(" by {via}"));
        let (url, detail) = (&page.url, output.notable(&page.detail));
        text.line(format!("  {url}{}: {detail}", via.unwrap_or_default()));
    }
    if warm.warmed + warm.failed + warm.skipped > 0 {
        text.gap();
        text.line(format!(
            "  warmed   {} ({} seen to be new), {} failed, {} needed none",
            warm.warmed, warm.verified, warm.failed, warm.skipped
        ));
    }
    text.into_text()
}

fn mode(mode: ModeView) -> &'static str {
    match mode {
        ModeView::Soft => "soft",
        ModeView::Hard => "hard",
    }
}

fn tiers(receipt: &ReceiptView) -> String {
    use Column::{Number, Text};
    let columns = [
        Text("tier"),
        Text("state"),
        Number("calls"),
        Number("taken on"),
        Number("refused"),
        Number("copies"),
        Text("remarks"),
    ];
    let row = |tier: &crate::admin::TierView| {
        vec![
            tier.tier.clone(),
            tier.state.clone(),
            tier.calls.to_string(),
            tier.accepted.to_string(),
            tier.rejected.to_string(),
            tier.copies
                .map_or_else(String::new, |copies| copies.to_string()),
            remarks([&tier.error, &tier.escalated]),
        ]
    };
    table(&columns, receipt.tiers.iter().map(row))
}

/// What there is to say, in one cell.
fn remarks<'r>(texts: impl IntoIterator<Item = &'r Option<String>>) -> String {
    let texts: Vec<&str> = texts.into_iter().flatten().map(String::as_str).collect();
    texts.join("; ")
}

fn target(target: &crate::admin::TargetView) -> String {
    match target.kind.as_str() {
        "tag" | "url" => target.value.clone(),
        "prefix" => format!("{} and beneath", target.value),
        kind => format!("{kind} {}", target.value).trim_end().to_owned(),
    }
}

/// Why a revalidation is held, to be read after its phase; nothing where it is not.
pub(crate) fn why_held(receipt: &ReceiptView) -> String {
    match (&receipt.held, receipt.phase.as_str()) {
        (Some(held), "held") => format!(", since it concerns more than {}", pages(held.above)),
        _ => String::new(),
    }
}

/// Revalidations that go on.
pub(crate) fn released(receipts: &[ReceiptView]) -> String {
    if receipts.is_empty() {
        return "no revalidation was held".into();
    }
    let line = |receipt: &ReceiptView| format!("{} goes on: {}", receipt.id, receipt.phase);
    receipts.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Revalidations, newest first.
pub(crate) fn receipts(list: &ReceiptList) -> String {
    let receipts = &list.receipts;
    if receipts.is_empty() {
        return "no revalidations".into();
    }
    let columns = [
        "id", "made", "targets", "mode", "source", "phase", "settled", "warmed",
    ]
    .map(Column::Text);
    let row = |receipt: &ReceiptView| {
        let mut targets: Vec<String> = receipt.targets.iter().take(3).map(target).collect();
        if receipt.targets.len() > 3 {
            targets.push(format!("and {} more", receipt.targets.len() - 3));
        }
        vec![
            receipt.id.clone(),
            receipt
                .made
                .as_deref()
                .map(to_the_second)
                .unwrap_or_default(),
            targets.join(", "),
            mode(receipt.mode).to_owned(),
            receipt.source.replace('_', " "),
            match &receipt.at {
                Some(at) if receipt.phase == "scheduled" => format!("scheduled for {at}"),
                _ => receipt.phase.clone(),
            },
            if receipt.settled { "yes" } else { "no" }.to_owned(),
            receipt.warm.warmed.to_string(),
        ]
    };
    let mut text = Lines::default();
    text.block(&table(&columns, receipts.iter().map(row)), 0);
    if let Some(next) = &list.next {
        text.line(format!("there may be more: --after '{next}', or --all"));
    }
    text.into_text()
}

/// A time without its fraction of a second.
fn to_the_second(time: &str) -> String {
    match time.split_once('.') {
        Some((whole, _)) => format!("{whole}Z"),
        None => time.to_owned(),
    }
}

/// Jobs that were given up on.
pub(crate) fn dead_letters(letters: &[DeadLetterView]) -> String {
    if letters.is_empty() {
        return "no job was given up on".into();
    }
    let columns = [
        Column::Text("job"),
        Column::Number("attempts"),
        Column::Text("error"),
    ];
    let row = |letter: &DeadLetterView| {
        vec![
            format!("{} {}", letter.kind, letter.job),
            letter.attempts.to_string(),
            letter.error.clone(),
        ]
    };
    table(&columns, letters.iter().map(row))
}

/// What a revalidation would do.
pub(crate) fn plan(plan: &PlanView) -> String {
    let mut text = Lines::default();
    let more = if plan.more { "at least " } else { "" };
    text.line(format!(
        "{more}{} would be revalidated; nothing was done",
        pages(plan.pages)
    ));
    for page in &plan.some {
        text.line(format!("  {page}"));
    }
    let unlisted = plan.pages.saturating_sub(plan.some.len() as u64);
    if unlisted > 0 {
        text.line(format!("  and {unlisted} more"));
    }
    if let Some(above) = plan.held_above {
        let why = format!("more than {}", pages(above));
        text.line(format!(
            "it would be held until it is released: it concerns {why}"
        ));
    }
    if let Some(above) = plan.softened_above {
        let why = format!("it concerns more than {}", pages(above));
        text.line(format!(
            "tiers that can would be purged softly, though the usual mode is hard: {why}"
        ));
    }
    let columns = [
        Column::Text("tier"),
        Column::Number("items"),
        Column::Number("calls"),
        Column::Number("minutes"),
        Column::Number("dollars"),
        Column::Text("remarks"),
    ];
    let row = |tier: &crate::admin::TierPlan| {
        let free = tier
            .free_items_a_month
            .map(|free| format!("{free} items a month are free for the whole account"));
        vec![
            tier.tier.clone(),
            tier.items.to_string(),
            tier.calls.to_string(),
            tier.minutes
                .map_or_else(String::new, |minutes| format!("{minutes:.1}")),
            tier.dollars
                .map_or_else(String::new, |dollars| format!("{dollars:.2}")),
            remarks([&tier.impossible, &tier.escalated, &free]),
        ]
    };
    text.gap();
    text.block(&table(&columns, plan.tiers.iter().map(row)), 1);
    text.into_text()
}

/// How many pages, in words.
fn pages(count: u64) -> String {
    if count == 1 {
        "1 page".into()
    } else {
        format!("{count} pages")
    }
}

/// The pages of a tag.
pub(crate) fn tag(view: &TagView) -> String {
    if view.pages.is_empty() {
        return format!("no page is bound to {}", view.tag);
    }
    let mut text = Lines::default();
    text.line(format!("{}: {}", view.tag, pages(view.pages.len() as u64)));
    for page in &view.pages {
        text.line(format!("  {page}"));
    }
    text.into_text()
}

/// The tags of a page.
pub(crate) fn page(page: &PageView) -> String {
    let columns = [Column::Text("tag"), Column::Number("kept for up to")];
    let row =
        |tag: &crate::admin::BoundTagView| vec![tag.tag.clone(), seconds(tag.expires_in_seconds)];
    let mut text = Lines::default();
    text.line(&page.url);
    text.line(format!("  generation  {}", page.generation));
    text.gap();
    text.block(&table(&columns, page.tags.iter().map(row)), 1);
    text.into_text()
}

/// How pages were warmed.
pub(crate) fn warmed(answer: &WarmAnswer) -> String {
    let columns = [
        Column::Text("page"),
        Column::Text("asked at"),
        Column::Text("outcome"),
        Column::Number("status"),
        Column::Number("took"),
        Column::Text(""),
    ];
    let row = |request: &crate::admin::WarmedView| {
        vec![
            request.url.clone(),
            request.via.clone().unwrap_or_else(|| "its host".into()),
            request.outcome.clone(),
            request
                .status
                .map(|status| status.to_string())
                .unwrap_or_default(),
            request
                .took_milliseconds
                .map(|took| format!("{took} ms"))
                .unwrap_or_default(),
            request.detail.clone().unwrap_or_default(),
        ]
    };
    table(&columns, answer.requests.iter().map(row))
}

/// The state of the graph.
pub(crate) fn graph(graph: &GraphView, output: Output) -> String {
    let mut facts = vec![
        ("pages", graph.pages.to_string()),
        ("tags", graph.tags.to_string()),
        ("edges", graph.edges.to_string()),
        (
            "revalidations",
            graph.revalidations.iter().sum::<u64>().to_string(),
        ),
        (
            "waiting",
            format!(
                "{} revalidations, {} scheduled, {} held, {} pages",
                graph.queue.revalidations,
                graph.queue.scheduled,
                graph.queue.held,
                graph.queue.pages
            ),
        ),
        ("given up on", graph.queue.dead.to_string()),
    ];
    if let Some(bytes) = graph.bytes {
        facts.insert(3, ("bytes", bytes.to_string()));
    }
    let mut text = Lines::default();
    for (name, value) in facts {
        text.line(format!("{name:<14} {value}"));
    }
    if !graph.largest_tags.is_empty() {
        let row = |tag: &crate::admin::TagSize| vec![tag.tag.clone(), tag.pages.to_string()];
        let columns = [Column::Text("tag"), Column::Number("pages")];
        text.gap();
        text.line(output.heading("largest tags"));
        text.block(&table(&columns, graph.largest_tags.iter().map(row)), 0);
    }
    if !graph.senders.is_empty() {
        let columns = ["name", "role", "state", "address"].map(Column::Text);
        text.gap();
        text.line(output.heading("senders"));
        text.block(&table(&columns, graph.senders.iter().map(sender)), 0);
    }
    text.into_text()
}

fn sender(sender: &crate::admin::SenderView) -> Vec<String> {
    let state = if sender.alive { "alive" } else { "dead" };
    let address = sender.address.clone().unwrap_or_default();
    vec![
        sender.id.clone(),
        sender.role.clone(),
        state.to_owned(),
        address,
    ]
}

fn seconds(count: u64) -> String {
    match count {
        0..=119 => format!("{count} s"),
        120..=7199 => format!("{} min", count / 60),
        7200..=172_799 => format!("{} h", count / 3600),
        _ => format!("{} days", count / 86_400),
    }
}
