//! What peers and disks do wrong, each row of the README's fault matrix that is about them: nothing is lost, nobody
//! is left waiting, and the next peer is served.

mod delivery;
mod door;
mod node;
mod wire;
