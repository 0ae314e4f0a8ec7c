use sagittal::volume::*;
use ndarray::Array3;
use std::time::Instant;
fn main(){
  let size=[274usize,384,384];
  let n=size.iter().product::<usize>();
  let v:Vec<f32>=(0..n).map(|i| ((i*2654435761usize)>>7 &1023) as f32).collect();
  let row=[0.999032176441525, -0.0217883751691557, 0.0382096472372976]; let col=[0.026519476938784, 0.991413870277297, -0.128043957939];
  let nrm=[-0.0350915,0.1289331,0.991032];
  let sc=|a:[f64;3],s:f64| a.map(|x|x*s);
  let grid=Grid{size,origin:[-91.4495864331908, -160.06035870244, -142.505487236053],axes:[sc(row,0.666666686534882),sc(col,0.699987828731537),sc(nrm,0.6666)]};
  let cube=Grid::conformed(&grid,[256;3],1.0,Orientation::of_tensor(&std::env::args().nth(1).unwrap()).unwrap());
  let vol=Volume{voxels:Array3::from_shape_vec((384,384,274),v).unwrap(),grid:grid.clone(),sources:vec![]};
  for _ in 0..5 { let t=Instant::now(); let r=resample(&vol,&cube,0.0).unwrap(); let e=t.elapsed(); let s:f64=r.voxels.iter().map(|v|f64::from(*v)).sum(); println!("resample {:?} {s}",e);
   let lab=r.voxels.mapv(|v| if v>500.0 {1u8} else {0}); let t=Instant::now(); let b=resample_labels(&lab,&cube,&grid).unwrap(); println!("labels {:?} {}",t.elapsed(),b.iter().map(|v|*v as u64).sum::<u64>()); let t=Instant::now(); let c=largest_component(&r.voxels.mapv(|v| if v>300.0 {1u8} else {0}),Connectivity::Six); println!("component(noise) {:?} {}",t.elapsed(),c.iter().map(|v|*v as u64).sum::<u64>());
  }
}
