"""The page of troubleshooting: a section for each code, from the text that ``batchpoint explain`` prints."""

from batchpoint.explanations import KINDS, Explanation, explanations
from generating.markdown import GENERATED

HEAD = """# Troubleshooting

Every error has a code that stays the same from version to version, and a message that says what, where, and what to do.
The code stands in brackets before the message, in `job show`, and in the answers of the server. The same sections in
the terminal:

```sh
batchpoint explain ScriptRaised
```

Three places to look when a job went wrong:

- `batchpoint job show --name JOB` has the reason why it ended, the counts, and the reasons of failed mini-batches.
- `batchpoint job stream --name JOB` prints its log again, and ends with the traceback of your code where there is one.
- The folder `logs` of the job: `user/error` has every traceback of your code, `user/stdout` and `user/stderr` what
  it printed. `batchpoint job download --name JOB --all` brings it here.
"""


def page() -> str:
    text = GENERATED + HEAD
    for kind, title in KINDS.items():
        found = sorted((one for one in explanations().values() if one.about == kind), key=lambda one: one.code)
        text += f"\n## When {title}\n\n"
        text += " · ".join(f"[{one.code}](#{one.code.lower()})" for one in found) + "\n"
        text += "".join(_section(one) for one in found)
    return text


def _section(found: Explanation) -> str:
    causes = "".join(f"- {cause}\n" for cause in found.causes)
    remedies = "".join(f"- {remedy}\n" for remedy in found.remedies)
    return (
        f"\n### {found.code}\n\n{found.means}\n\n```text\n{found.example}\n```\n\n"
        f"Usual causes:\n\n{causes}\nWhat to do:\n\n{remedies}"
    )
