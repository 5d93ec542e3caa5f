#!/usr/bin/env bash
# The deploy template: no finding of cfn-lint, and every variant is created in moto's CloudFormation.
set -euo pipefail
export PIP_ROOT_USER_ACTION=ignore
cd "$(dirname "$0")/.."

lint=1.58.0
moto=5.2.5
cli=1.46.3
tools=${XDG_CACHE_HOME:-$HOME/.cache}/s3-replicator/template-$lint-$moto-$cli
if [[ ! -d $tools ]]; then
    rm -rf "$tools.new"
    python3 -m venv --without-pip "$tools.new"
    python3 -m pip --python "$tools.new/bin/python3" install --quiet --disable-pip-version-check \
        "cfn-lint==$lint" "moto[server]==$moto" "awscli==$cli"
    mv "$tools.new" "$tools"
fi

# Not by its script, whose first line has the path that it was installed under.
"$tools/bin/python3" -c "from cfnlint.runner import main; main()" deploy/template.yaml
"$tools/bin/python3" ci/template.py
