#!/bin/sh
# Installs the Autobahn test suite 25.10.1 into a folder of its own: usage: setup.sh FOLDER
#
# The suite runs on Python 2.7 only. Debian 11 was the last to have it, so its packages are downloaded and unpacked there, not
# installed: nothing outside the folder changes. Needs Debian on amd64, gcc, and python3 with pip.
set -eu

folder=$1
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
apt=$folder/apt

say() { echo "autobahn: $*" >&2; }

command -v apt-get >/dev/null && [ "$(dpkg --print-architecture)" = amd64 ] || { say "this is not Debian on amd64"; exit 1; }

# The mirror that this machine uses already.
mirror=${AUTOBAHN_MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 'Identifier: Packages' | grep -v security | head -n 1)}
[ -n "$mirror" ] || mirror=http://deb.debian.org/debian
say "Python 2.7 of Debian 11, from $mirror"

mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$apt/debs"
: > "$apt/status"
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror bullseye main" > "$apt/sources.list"
own_apt() {
  apt-get -qq -o Dir::Etc::SourceList="$apt/sources.list" -o Dir::Etc::SourceParts=/dev/null -o Dir::State::Lists="$apt/lists" \
    -o Dir::State::status="$apt/status" -o Dir::Cache="$apt/cache" -o APT::Sandbox::User=root -o Acquire::Check-Valid-Until=false "$@"
}
own_apt update
(cd "$apt/debs" && own_apt download python2.7 python2.7-minimal libpython2.7 libpython2.7-minimal libpython2.7-stdlib \
  libpython2.7-dev python2.7-dev libssl1.1 libffi7)
for package in "$apt"/debs/*.deb; do dpkg -x "$package" "$folder/py27root"; done

cat > "$folder/py27" <<'WRAPPER'
#!/bin/sh
# Python 2.7 with the libraries and packages of this folder.
folder=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
export LD_LIBRARY_PATH="$folder/py27root/usr/lib/x86_64-linux-gnu"
export LIBRARY_PATH="$LD_LIBRARY_PATH"
export CPATH="$folder/py27root/usr/include/python2.7:$folder/py27root/usr/include:$folder/py27root/usr/include/x86_64-linux-gnu"
export PYTHONPATH="$folder/site27" PYTHONNOUSERSITE=1
exec "$folder/py27root/usr/bin/python2.7" "$@"
WRAPPER
chmod +x "$folder/py27"

say "the suite, from PyPI"
unset PIP_FIND_LINKS || true
python3 -m pip download -q --no-deps --disable-pip-version-check -d "$folder/wheels" pip==20.3.4
pip_install() {
  pip=$1; shift
  # shellcheck disable=SC2086 # "-m pip" is two words
  "$folder/py27" $pip install -q --no-cache-dir --no-warn-script-location --target "$folder/site27" --upgrade "$@" 2> "$folder/pip.log" ||
    { cat "$folder/pip.log" >&2; exit 1; }
}
pip_install "$folder/wheels/pip-20.3.4-py2.py3-none-any.whl/pip" pip==20.3.4 setuptools==44.0.0 wheel==0.37.1
# wsaccel 0.6.3 and later do not build for Python 2.7.
pip_install "-m pip" wsaccel==0.6.2 autobahntestsuite==25.10.1
# --target leaves this file of the namespace package out.
touch "$folder/site27/zope/__init__.py"

"$folder/py27" "$folder/site27/bin/wstest" -a >&2
