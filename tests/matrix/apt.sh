# apt with lists, sources and an empty status of its own, so that the machine's stay as they are. To be sourced.
#
# own_apt FOLDER KIND SUITE...: makes it in FOLDER, for `deb` or `deb-src`, from the archive that the machine's apt uses;
# `"${apt_get[@]}"` and `"${apt_cache[@]}"` are its commands then.
own_apt() {
    local folder kind=$2 archive suite
    folder=$(realpath --canonicalize-missing "$1")
    archive=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Component: main' | head -n 1)
    mkdir -p "$folder"/{lists,archives}/partial
    : >"$folder/status"
    for suite in "${@:3}"; do
        echo "$kind [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $archive $suite main"
    done >"$folder/sources.list"
    local options=(
        -o Dir::State::lists="$folder/lists" -o Dir::State::status="$folder/status" -o Dir::Cache="$folder"
        -o Dir::Etc::sourcelist="$folder/sources.list" -o Dir::Etc::sourceparts=- -o APT::Sandbox::User=root
    )
    apt_get=(apt-get "${options[@]}")
    apt_cache=(apt-cache "${options[@]}")
    "${apt_get[@]}" -qq update
}
