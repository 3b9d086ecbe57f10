//! Generates the code of the stub crate from the protos.

use std::env;
use std::error::Error;
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn Error>> {
    let paths: Vec<PathBuf> = env::args_os().skip(1).map(PathBuf::from).collect();
    let [includes, out, protos @ ..] = paths.as_slice() else {
        return Err("usage: generator INCLUDE_DIR OUT_DIR PROTO...".into());
    };
    tonic_prost_build::configure()
        .file_descriptor_set_path(out.join("descriptor_set.bin"))
        .out_dir(out)
        .compile_protos(protos, std::slice::from_ref(includes))?;
    Ok(())
}
