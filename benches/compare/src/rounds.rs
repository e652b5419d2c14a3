//! All runs of all workloads. Each round measures every server, so that a disturbance affects all of them.

use crate::contender::Contender;
use crate::measure::Bench;
use crate::options::Options;
use crate::table::Row;
use crate::workload::{self, Workload};

/// Runs all selected workloads, and prints each row when it is complete. The first run that fails ends it.
pub(crate) fn run(options: &Options, bench: &Bench<'_>) -> Result<Vec<Row>, String> {
    let asked = asked(options);
    if asked.is_empty() {
        return Err(
            "nothing is left to measure: these servers are not on a workload whose name has that in it".to_owned()
        );
    }
    let mut all = Vec::new();
    for (workload, contenders) in asked {
        let mut rows = workload.rows();
        for _ in 0..workload.rounds(options.rounds) {
            for &contender in &contenders {
                let (figures, counts) = bench.run(&workload, contender)?;
                rows.iter_mut().zip(figures).for_each(|(row, figure)| row.add(contender, figure, counts));
            }
        }
        rows.iter().for_each(|row| show(row, options.quick));
        all.extend(rows);
    }
    Ok(all)
}

fn asked(options: &Options) -> Vec<(Workload, Vec<Contender>)> {
    let mut workloads = workload::all(options.quick);
    workloads.retain(|one| options.only.as_ref().is_none_or(|only| one.name().to_lowercase().contains(only)));
    let with_contenders = workloads.into_iter().map(|workload| {
        let contenders = workload.contenders.iter().copied().filter(|one| options.servers.contains(one)).collect();
        (workload, contenders)
    });
    with_contenders.filter(|(_, contenders): &(_, Vec<_>)| !contenders.is_empty()).collect()
}

/// Quick runs print no figures, since they would not be representative.
fn show(row: &Row, quick: bool) {
    println!("{}", row.name);
    for contender in Contender::ALL {
        if let Some(spread) = row.spread(contender).filter(|_| !quick) {
            let [median, least, most] = [spread.median, spread.least, spread.most].map(|figure| row.unit.write(figure));
            println!("    {:12} {median:>8}  ({least}–{most})", contender.name());
        }
    }
}
