"""The recipes of `config/README.md`, taken from the page and put into a running node; DCMTK sends what should and what
should not match.

One node serves all of them: each recipe has an AE title of its own, whose profile names the recipe's rules. Only waiting
times are shortened. What each series is expected to do stands in `recipe_cases.py`."""

import datetime
import functools
import json
import re
import shutil
import tomllib

import models
import recipe_cases
import schemas
import settings
from support import ROOT, Node, Site, receive, wait

# Several series go into these pipelines; the others take one.
CHANNELS = {"prostate": ["t2", "adc", "dwi"], "follow-up": ["now", "before"]}
NIGHT = "Research at night"
FINAL = {"completed", "discarded", "cancelled"}


def test_every_recipe_has_series_that_match_and_series_that_do_not():
    found, cases = recipes(), {**recipe_cases.CASES, NIGHT: None}
    assert len(found) >= 12 and set(found) == set(cases), f"{set(found) ^ set(cases)}: on the page or in the cases only"
    for title, text in found.items():
        assert not schemas.complaints("rules", text), f"{title}: {schemas.complaints('rules', text)}"
        fires = [case.fires for case in cases[title] or []]
        assert title == NIGHT or (any(fires) and not all(fires)), f"{title}: cases of both kinds are needed"


def test_the_recipes_do_in_a_running_node_what_they_say():
    with Kitchen("recipes", recipes()) as kitchen:
        wrong = []
        for stage in (1, 2):
            sent = [case for cases in recipe_cases.CASES.values() for case in cases if case.stage <= stage]
            for title, cases in recipe_cases.CASES.items():
                for case in (case for case in cases if case.stage == stage):
                    kitchen.send(title, case)
            kitchen.settle(sent)
        for title, cases in recipe_cases.CASES.items():
            wrong += [f"{title}: {case.name}: {text}" for case in cases for text in kitchen.differences(case)]
        assert not wrong, "\n".join(wrong)
        wrong = kitchen.shadows() + kitchen.inputs() + kitchen.priorities()
        assert not wrong, "\n".join(wrong)
        kitchen.release("a phantom of the pelvis", "pelvis CT")
        count = sum(map(len, recipe_cases.CASES.values()))
        return f"{len(recipe_cases.CASES)} recipes, {count} series, {len(kitchen.infer_jobs())} jobs"


def test_research_goes_by_the_clock_of_the_node():
    """At noon and at midnight of the node's own clock, which the variable TZ sets. Whatever day it is: the weekend is moved
    away from today, and onto it."""
    said = []
    for hour, weekend, taken in ((12, False, False), (0, False, True), (12, True, True)):
        zone, local = clock_that_shows(hour)
        text = with_weekend(recipes()[NIGHT], local.date(), weekend)
        name = f"recipes-{hour}-{'weekend' if weekend else 'weekday'}"
        with Kitchen(name, {NIGHT: text}, environment={"TZ": zone}) as kitchen:
            fires = ["knees for research"] if taken else []
            knee = recipe_cases.case(name, recipe_cases.MR, fires, priority="off-peak", BodyPartExamined="KNEE")
            kitchen.send(NIGHT, knee)
            kitchen.settle([knee])
            wrong = list(kitchen.differences(knee))
            assert not wrong, "\n".join(wrong)
            said.append(f"{local:%H:%M}{', weekend' if weekend else ''}: {'taken' if taken else 'not taken'}")
    return "; ".join(said)


@functools.cache
def recipes():
    """Title -> rules, in the order of the page."""
    page = (ROOT / "config/README.md").read_text().split("\n## Recipes\n")[1].split("\n## ")[0]
    parts = re.split(r"^### (.+)$", page, flags=re.M)[1:]
    blocks = {title: re.findall(r"^```toml\n(.*?)^```$", text, flags=re.M | re.S) for title, text in zip(parts[::2], parts[1::2])}
    assert all(len(found) == 1 for found in blocks.values()), f"one block of rules a recipe: {blocks}"
    return {title: text for title, [text] in blocks.items()}


def clock_that_shows(hour):
    """A zone as POSIX writes it (west is positive) where it is now about `hour`, and the time there."""
    now = datetime.datetime.now(datetime.UTC)
    east = (hour - now.hour + 12) % 24 - 12
    return f"SAG{-east:+d}", now + datetime.timedelta(hours=east)


def with_weekend(text, today, now):
    """The recipe with a weekend of two days that hold `today`, or that are far from it."""
    days = [(today + datetime.timedelta(days=ahead)).strftime("%A").lower() for ahead in ((0, 1) if now else (3, 4))]
    assert '["saturday", "sunday"]' in text
    return text.replace('["saturday", "sunday"]', json.dumps(days))


class Kitchen(Site):
    """A node whose rules are those of `texts`, with an AE title for each recipe."""

    def build(self, texts, environment=()):
        rules = {title: tomllib.loads(text)["rule"] for title, text in texts.items()}
        self.titles = {title: f"R{number}" for number, title in enumerate(rules, 1)}
        every = [rule for of_recipe in rules.values() for rule in of_recipe]
        pipelines = sorted({rule["pipeline"] for rule in every if "pipeline" in rule})
        places = sorted({place for rule in every for place in rule.get("send_to", [])})
        self.places = {place: self.folder / place for place in places}
        files = settings.files(
            {name: name if name in CHANNELS else "threshold" for name in pipelines}, [],
            {place: {"kind": "folder", "path": str(path)} for place, path in self.places.items()},
            model_folder=model_folder(self.folder / "models"),
        )
        for title, aet in self.titles.items():
            names = json.dumps([rule["name"] for rule in rules[title]])
            files["node.toml"] += f'\n[ae."{aet}"]\nallow_any = true\nrules = {names}\n'
        files["rules.toml"] = "\n".join(shortened(text) for text in texts.values())
        self.sent = {}
        self.node = self.keep(Node(self.folder / "node", files, environment=environment))

    def send(self, title, case):
        files = case.write(self.folder / "series" / case.name.replace(" ", "-"))
        receive(self.node, files, aet=self.titles[title], calling=case.calling)
        self.sent[case.name] = case.uid

    def settle(self, cases):
        """Waits until every series is closed, what is expected has come, and no job is left to do."""
        expected = sum(len(case.fires) for case in cases)
        idle = lambda: json.loads(self.node.command("series", "list", "--json").stdout) == []
        wait("every series is finished", idle, pace=0.2)
        wait(f"{expected} jobs", lambda: len(self.infer_jobs()) >= expected, limit=120, pace=0.2)
        wait("no job is left", lambda: all(job["state"] in FINAL for job in self.node.jobs()), pace=0.2)

    def infer_jobs(self):
        return [job for job in self.node.jobs() if job["kind"] == "infer"]

    def differences(self, case):
        """What the node did with the series beside what is expected, and beside what `rules explain` says of it."""
        uid = self.sent[case.name]
        jobs = [job for job in self.infer_jobs() if job["series"] == uid]
        fired = sorted(job["rule"] for job in jobs)
        if fired != sorted(case.fires):
            yield f"fired {fired}, expected {case.fires}\n{self.node.command('rules', 'explain', uid).stdout}"
        if case.priority and {job["priority"] for job in jobs} - {case.priority}:
            yield f"priorities {[job['priority'] for job in jobs]}, expected {case.priority}"
        [explained] = json.loads(self.node.command("rules", "explain", uid, "--json").stdout)["series"]
        outcomes = {rule["name"]: rule["outcome"]["outcome"] for rule in explained["explanation"]["rules"]}
        held = [name for name, outcome in outcomes.items() if outcome == "held"]
        if held != ([case.held] if case.held else []):
            yield f"held by {held}, expected {case.held}"
        told = sorted(name for name, outcome in outcomes.items() if outcome == "fired")
        if told != [name for name in fired if outcomes[name] != "study"]:
            yield f"explained as {told}, fired {fired}"

    def shadows(self):
        """Results of a shadow are kept and sent nowhere; those of the live rule arrive."""
        uid = self.sent["a spine"]
        jobs = [job for job in self.node.jobs() if job["series"] == uid]
        deliver = [job["rule"] for job in jobs if job["kind"] == "deliver"]
        detail = {job["rule"]: json.loads(self.node.command("jobs", "show", job["id"], "--json").stdout)
                  for job in jobs if job["kind"] == "infer"}
        results = {rule: len(shown["results"]) for rule, shown in detail.items()}
        study = next(job["study"] for job in jobs)
        arrived = len(list((self.places["pacs"] / study).rglob("*.dcm")))
        expected = {"spine MR": 1, "spine MR, version 2": 1}
        good = results == expected and deliver == ["spine MR"] and arrived == 1
        return [] if good else [f"shadow: results {results}, deliveries by {deliver}, {arrived} files arrived"]

    def inputs(self):
        """The series that became the inputs of the jobs of whole studies."""
        wrong = []
        for rule, expected in recipe_cases.INPUTS.items():
            [job] = [job for job in self.infer_jobs() if job["rule"] == rule]
            shown = json.loads(self.node.command("jobs", "show", job["id"], "--json").stdout)
            found = {each["name"]: each["series"] for each in shown["inputs"]}
            wanted = {name: self.sent[series] for name, series in expected.items()}
            if found != wanted or job["state"] != "completed":
                wrong.append(f"{rule}: {job['state']}, inputs {found}, expected {wanted}: {job['last_error']}")
        return wrong

    def priorities(self):
        """Every job that a model could take was done."""
        undone = [job for job in self.infer_jobs() if job["state"] != "completed" and job["pipeline"] not in ("chest-xray", "bone-age")]
        return [f"{job['rule']}: {job['state']}: {job['last_error']}" for job in undone]

    def release(self, name, rule):
        """A person lets a held series go on to the rules behind the one that holds it."""
        uid = self.sent[name]
        assert uid in self.node.command("series", "held").stdout
        self.node.command("series", "release", uid)
        done = lambda: [job for job in self.infer_jobs() if (job["series"], job["rule"], job["state"]) == (uid, rule, "completed")]
        wait("the released series is run", done, pace=0.2)
        assert uid not in self.node.command("series", "held").stdout


def shortened(text):
    """The same rules, in a hurry."""
    return re.sub(r'quiet = "60 s"', 'quiet = "1 s"', text)


def model_folder(folder):
    shutil.rmtree(folder, ignore_errors=True)
    models.write_threshold(folder / "threshold")
    for name, channels in CHANNELS.items():
        models.write_threshold(folder / name, channels)
    return folder
