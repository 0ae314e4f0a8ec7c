-- Orthanc sends every stable series to Sagittal and says that it is complete, so that Sagittal need not wait for silence.
-- Name this file in "LuaScripts" of Orthanc's configuration (start.sh --stable URL does), and set in Orthanc's environment
--   SAGITTAL_URL  where the node's [http] listens, such as http://127.0.0.1:8080
--   SAGITTAL_KEY  its API key, where it has one
-- The node is the modality "sagittal" of "DicomModalities". "StableAge" says how long a series must be still.

function OnStableSeries(id, tags, metadata)
  -- what came from the node is its own result
  if metadata.RemoteAET == 'SAGITTAL' then
    return
  end
  RestApiPost('/modalities/sagittal/store', id)
  local series = ParseJson(RestApiGet('/series/' .. id))
  local said = { SeriesInstanceUID = series.MainDicomTags.SeriesInstanceUID, Instances = #series.Instances }
  local headers = { ['Content-Type'] = 'application/json' }
  if os.getenv('SAGITTAL_KEY') then
    headers.Authorization = 'Bearer ' .. os.getenv('SAGITTAL_KEY')
  end
  HttpPost(os.getenv('SAGITTAL_URL') .. '/api/v1/orthanc/stable-series', DumpJson(said), headers)
end
