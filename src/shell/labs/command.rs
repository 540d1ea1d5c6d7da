//! `lab`: lists the labs, runs one, or all of them.

use super::notebook::Verdict;
use super::{LABS, Lab, find, sorted};
use crate::shell::complete::Request;
use crate::shell::{self, CommandError, Context};

shell::command! {
    name: "lab",
    usage: "lab [NAME|all]",
    help: "experiments: the wrong and the right version of each idea, on all cores",
    details: "Without a name: the list, in the order of the course and the notes. all: one after the other. docs/guide/ walks through them.\nThe status is 0 if everything came out as it must.",
    complete: complete,
    run: lab,
}

fn complete(request: &Request<'_>, offer: &mut dyn FnMut(&str)) {
    if request.args.is_empty() {
        LABS.iter().for_each(|lab| offer(lab.name));
        offer("all");
    }
}

fn lab(ctx: &mut Context<'_>, args: &[&str]) -> Result<(), CommandError> {
    match *args {
        [] => list(ctx),
        ["all"] => run_all(ctx),
        [name] => match find(name) {
            Some(lab) => run(ctx, lab),
            None => Err(ctx.fail(format_args!("there is no lab \"{name}\": `lab` lists them"))),
        },
        _ => Err(CommandError::Usage),
    }
}

fn list(ctx: &mut Context<'_>) -> Result<(), CommandError> {
    let mut place = None;
    for lab in sorted() {
        if place.replace(lab.place.section()) != Some(lab.place.section()) {
            writeln!(ctx.out, "{}", lab.place)?;
        }
        writeln!(ctx.out, "  {:18}{}", lab.name, lab.title)?;
    }
    writeln!(ctx.out, "\n`lab NAME` runs one: Tab completes the name.")?;
    Ok(())
}

fn run(ctx: &mut Context<'_>, lab: &Lab) -> Result<(), CommandError> {
    match lab.run(ctx.out)? {
        Verdict::AsExpected | Verdict::NotRun => Ok(()),
        Verdict::Differs { .. } => Err(ctx.fail(format_args!("{} did not come out as it must", lab.name))),
    }
}

fn run_all(ctx: &mut Context<'_>) -> Result<(), CommandError> {
    let mut result = Ok(());
    for lab in sorted() {
        if ctx.interrupted() {
            return Err(CommandError::Interrupted);
        }
        match run(ctx, lab) {
            Err(CommandError::Failed) => result = Err(CommandError::Failed),
            other => other?,
        }
        writeln!(ctx.out)?;
    }
    result
}
