/// Returns the names of all functions in the files of a folder.
pub(crate) fn functions(folder: &std::path::Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            names.extend(functions(&path));
        } else {
            let text = std::fs::read_to_string(path).unwrap();
            let lines = text.lines().filter_map(|line| line.trim().split_once("fn ")?.1.split_once('('));
            names.extend(lines.map(|(name, _)| name.to_owned()));
        }
    }
    names
}
