//! 1,000 rules on one series: `cargo bench --bench rules`. Prints a line for routing and one with the explanation.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::disallowed_methods)]

use std::time::Instant;

use sagittal::rules::{AttributeSummary, RuleSet, SeriesFacts, SeriesSummary};

fn main() {
    let rule = |n: usize| {
        format!(
            "[[rule]]\nname = '{n}'\nwhen.Modality = ['MR', 'CT']\nwhen.slices = {{ min = 60 }}\n\
             when.SeriesDescription = {{ glob = ['*t{n}*', '*mprage {n}'], not = {{ regex = 'post{n}' }} }}\n\
             pipeline = 'p'\nsend_to = 'd'\n"
        )
    };
    let rules = RuleSet::parse(&(0..1000).map(rule).collect::<String>()).unwrap();
    let value = |text: &str| AttributeSummary { distinct: vec![vec![text.to_owned()]], more: false };
    let values = [("0008,0060", "MR"), ("0008,103e", "Anat T1w MPRAGE sag 1mm iso")];
    let attributes = values.into_iter().map(|(key, text)| (key.to_owned(), value(text))).collect();
    let facts = SeriesFacts { slices: 176, ..SeriesFacts::default() };
    let summary = SeriesSummary { attributes, orientation: None, facts };
    let median = |work: &dyn Fn()| {
        let mut times: Vec<f64> = (0..101)
            .map(|_| {
                let start = Instant::now();
                work();
                start.elapsed().as_secs_f64() * 1e3
            })
            .collect();
        times.sort_by(f64::total_cmp);
        times[50]
    };
    let route = median(&|| assert_eq!(rules.route(&summary).fired.len(), 1));
    let explain = median(&|| assert_eq!(rules.explain(&summary).rules.len(), 1000));
    println!("1,000 rules x 1 series: route {route:.3} ms, with explanation {explain:.3} ms (median of 101)");
}
