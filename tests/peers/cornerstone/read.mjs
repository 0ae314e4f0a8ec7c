// Reads SEGs as OHIF does: Cornerstone3D's adapters, without a browser.
//
// usage: node read.cjs [SEG SOURCE_DIR OUT_DIR]...
//
// For each SEG writes OUT_DIR/images.json, one entry for each image of each layer that holds a segment: where its first
// pixel lies, its axes and spacings; and OUT_DIR/pixels.raw, the images' segment numbers, two bytes a pixel. A SEG that
// cannot be read gets images.json with nothing but the error. scripts/peers.sh bundles this file to .venv/cornerstone/read.cjs.

import './browser.mjs';
import fs from 'node:fs';
import path from 'node:path';
import { adaptersSEG } from '@cornerstonejs/adapters';
import { metaData } from '@cornerstonejs/core';
import dcmjs from 'dcmjs';

const { DicomMessage, DicomMetaDictionary } = dcmjs.data;

function bytesOf(file) {
  const bytes = fs.readFileSync(file);
  return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length);
}

function headerOf(file) {
  const { dict } = DicomMessage.readFile(bytesOf(file), { untilTag: '7FE00010', ignoreErrors: true });
  return DicomMetaDictionary.naturalizeDataset(dict);
}

// A header for each frame: an Enhanced image says in functional groups what a single-frame image says of itself.
function framesOf(header) {
  const first = (sequence) => [].concat(sequence)[0];
  const flat = (groups) => {
    const names = Object.keys(groups).filter((name) => name.endsWith('Sequence'));
    return Object.assign({}, ...names.map((name) => first(groups[name])));
  };
  const shared = flat(first(header.SharedFunctionalGroupsSequence));
  return [].concat(header.PerFrameFunctionalGroupsSequence).map((own) => ({ ...header, ...shared, ...flat(own) }));
}

// The images of a file under the names that Cornerstone tells frames apart by; a film lies nowhere and has none.
function imagesOf(file, name) {
  const header = headerOf(file);
  if (!header.PerFrameFunctionalGroupsSequence) return header.ImagePositionPatient ? [[name, modulesOf(header)]] : [];
  return framesOf(header).map((frame, n) => [`${name}?frame=${n + 1}`, modulesOf(frame)]);
}

// What a viewer's own metadata providers say about a source image.
function modulesOf(header) {
  const numbers = (values) => values.map(Number);
  const orientation = numbers(header.ImageOrientationPatient);
  const spacing = numbers(header.PixelSpacing);
  const position = numbers(header.ImagePositionPatient);
  const identity = { sopInstanceUID: header.SOPInstanceUID, sopClassUID: header.SOPClassUID };
  const size = { rows: header.Rows, columns: header.Columns };
  return {
    instance: { ...header, ImagePositionPatient: position },
    imagePlaneModule: {
      ...size,
      imagePositionPatient: position,
      imageOrientationPatient: orientation,
      rowCosines: orientation.slice(0, 3),
      columnCosines: orientation.slice(3),
      pixelSpacing: spacing,
      rowPixelSpacing: spacing[0],
      columnPixelSpacing: spacing[1],
      sliceThickness: Number(header.SliceThickness),
      frameOfReferenceUID: header.FrameOfReferenceUID,
    },
    imagePixelModule: {
      ...size,
      bitsAllocated: 16,
      bitsStored: 16,
      highBit: 15,
      samplesPerPixel: 1,
      pixelRepresentation: 1,
      photometricInterpretation: 'MONOCHROME2',
    },
    generalSeriesModule: { seriesInstanceUID: header.SeriesInstanceUID, modality: header.Modality },
    generalImageModule: identity,
    sopCommonModule: identity,
  };
}

// The pixels of one image and where they lie, as the viewer would draw them; nothing where no pixel is marked.
function shown(image) {
  const pixels = image.voxelManager?.getScalarData?.() ?? image.getPixelData();
  if (!pixels.some((value) => value > 0)) return [];
  const plane = metaData.get('imagePlaneModule', image.imageId);
  const { imagePositionPatient, imageOrientationPatient, rowPixelSpacing, columnPixelSpacing } = plane;
  const place = {
    position: imagePositionPatient,
    orientation: imageOrientationPatient,
    spacing: [rowPixelSpacing, columnPixelSpacing],
    size: [image.rows, image.columns],
  };
  return [{ place, pixels: Uint16Array.from(pixels) }];
}

async function read(seg, folder, number) {
  const files = fs.readdirSync(folder).sort();
  const images = new Map(files.flatMap((file, k) => imagesOf(path.join(folder, file), `case${number}:${k}`)));
  const provider = { get: (kind, id) => images.get(id)?.[kind] };
  const global = (kind, id) => provider.get(kind, id);
  metaData.addProvider(global, 1000);
  const options = { metadataProvider: provider, tolerance: 1e-3 };
  const { createFromDICOMSegBuffer } = adaptersSEG.Cornerstone3D.Segmentation;
  const found = await createFromDICOMSegBuffer([...images.keys()], bytesOf(seg), options);
  const all = found.labelMapImages.flat().flatMap(shown);
  metaData.removeProvider(global);
  return all;
}

async function main(cases) {
  for (let at = 0; at < cases.length; at += 3) {
    const [seg, folder, out] = cases.slice(at, at + 3);
    const say = (what) => fs.writeFileSync(path.join(out, 'images.json'), JSON.stringify(what));
    try {
      const images = await read(seg, folder, at / 3);
      const pixels = fs.openSync(path.join(out, 'pixels.raw'), 'w');
      images.forEach((image) => fs.writeSync(pixels, image.pixels));
      fs.closeSync(pixels);
      say(images.map((image) => image.place));
    } catch (error) {
      say({ error: String(error?.message ?? error) });
    }
  }
}

// Cornerstone's timers would keep the process.
main(process.argv.slice(2)).then(() => process.exit(0));
