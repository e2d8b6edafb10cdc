# The REST sequence of 2021: blobs are signed with the key of the account, data are datasets.
. "$(dirname "$0")/calls.sh"
API_VERSION=2021-10-01
ENDPOINT=batch-rest-$RANDOM
IDS="/subscriptions/$SUBSCRIPTION_ID/resourceGroups/$RESOURCE_GROUP/providers/Microsoft.MachineLearningServices/workspaces/$WORKSPACE"

# signed METHOD BLOB LENGTH [FURTHER HEADERS]: sets SIGNED to the headers of a request.
signed() {
  local date hex signature
  date=$(LC_ALL=C date -u '+%a, %d %b %Y %H:%M:%S GMT')
  hex=$(base64 -d <<< "$KEY" | od -An -v -tx1 | tr -d ' \n')
  signature=$(printf '%s\n\n\n%s\n\n\n\n\n\n\n\n\n%sx-ms-date:%s\nx-ms-version:2021-08-06\n/%s/%s/%s/%s' \
    "$1" "$3" "${4:+$4$'\n'}" "$date" "$ACCOUNT" "$ACCOUNT" "$CONTAINER" "$2" |
    openssl dgst -sha256 -mac HMAC -macopt "hexkey:$hex" -binary | base64)
  SIGNED=(--header "x-ms-date: $date" --header "x-ms-version: 2021-08-06" --header "Content-Type:"
    --header "Authorization: SharedKey $ACCOUNT:$signature" ${4:+--header "$4"})
}

# send_folder FOLDER PREFIX
send_folder() {
  local file
  for file in "$1"/*; do
    signed PUT "$2/$(basename "$file")" "$(stat -c %s "$file")" "x-ms-blob-type:BlockBlob"
    curl --silent --show-error --fail-with-body --upload-file "$file" "${SIGNED[@]}" "$CONTAINER_URL/$2/$(basename "$file")" > /dev/null
  done
}

# fetch BLOB FILE
fetch() {
  signed GET "$1" ""
  curl --silent --show-error --fail-with-body "${SIGNED[@]}" "$CONTAINER_URL/$1" > "$2"
}

answer=$(management PUT "computes/batch-cluster?api-version=$API_VERSION" '{
  "location": "local",
  "properties": {
    "computeType": "AmlCompute",
    "properties": {"scaleSettings": {"maxNodeCount": "5", "minNodeCount": "0", "nodeIdleTimeBeforeScaleDown": "PT2M"}},
  }
}')
operation_of "$answer"

default_datastore $API_VERSION
KEY=$(curl --silent --show-error --fail-with-body --request POST --header "Authorization: Bearer $TOKEN" --header "Content-Length: 0" \
  "$HOST/subscriptions/$SUBSCRIPTION_ID/resourceGroups/$RESOURCE_GROUP/providers/Microsoft.Storage/storageAccounts/$ACCOUNT/listKeys?api-version=2022-09-01" |
  jq -r '.keys[0].value')

send_folder "$FILES/code" rest21/code
management PUT "codes/score21/versions/1?api-version=$API_VERSION" "{
  \"properties\": {\"codeUri\": \"$CONTAINER_URL/rest21/code\", \"isAnonymous\": false,}
}" > /dev/null
send_folder "$FILES/model" rest21/model
management PUT "models/mnist21/versions/1?api-version=$API_VERSION" "{
  \"properties\": {\"modelFormat\": \"Custom\", \"modelUri\": \"azureml://datastores/$DATASTORE/paths/rest21/model/\"}
}" > /dev/null
management PUT "environments/env21/versions/1?api-version=$API_VERSION" "{
  \"properties\": {\"image\": \"mcr.microsoft.com/azureml/openmpi3.1.2-ubuntu18.04:latest\", \"condaFile\": $(jq -Rs . < "$FILES/conda.yml")}
}" > /dev/null

answer=$(management PUT "batchEndpoints/$ENDPOINT?api-version=$API_VERSION" '{
  "properties": {"authMode": "AADToken"}, "location": "local"
}')
operation_of "$answer"
answer=$(management PUT "batchEndpoints/$ENDPOINT/deployments/nonmlflowdp?api-version=$API_VERSION" "{
  \"location\": \"local\",
  \"properties\": {
    \"Model\": {\"ReferenceType\": \"Id\", \"AssetId\": \"$IDS/models/mnist21/versions/1\"},
    \"CodeConfiguration\": {\"CodeId\": \"$IDS/codes/score21/versions/1\", \"ScoringScript\": \"digits.py\"},
    \"EnvironmentId\": \"$IDS/environments/env21/versions/1\",
    \"Compute\": \"$IDS/computes/batch-cluster\",
    \"Resources\": {\"InstanceCount\": \"1\"},
    \"MaxConcurrencyPerInstance\": \"2\",
    \"RetrySettings\": {\"MaxRetries\": \"3\", \"Timeout\": \"PT30S\"},
    \"ErrorThreshold\": \"10\",
    \"LoggingLevel\": \"info\",
    \"MiniBatchSize\": \"5\",
  }
}")
operation_of "$answer"
answer=$(management PUT "batchEndpoints/$ENDPOINT?api-version=$API_VERSION" '{
  "properties": {"authMode": "AADToken", "defaults": {"deploymentName": "nonmlflowdp"}}, "location": "local"
}')
operation_of "$answer"
SCORING_URI=$(management GET "batchEndpoints/$ENDPOINT?api-version=$API_VERSION" | jq -r '.properties.scoringUri')

send_folder "$FILES/data" rest21/data
management PUT "datasets/digits21/versions/7?api-version=$API_VERSION" "{
  \"properties\": {\"paths\": [{\"folder\": \"$CONTAINER_URL/rest21/data\"}]}
}" > /dev/null

# A dataset by name and version, with an output of its own.
OUTPUT=predictions_$RANDOM.csv
invoke "{
  \"properties\": {
    \"dataset\": {\"dataInputType\": \"DatasetVersion\", \"datasetName\": \"digits21\", \"datasetVersion\": \"7\"},
    \"outputDataset\": {\"datastoreId\": \"$DATASTORE_ID\", \"path\": \"$ENDPOINT\"},
    \"outputFileName\": \"$OUTPUT\"
  }
}"
finished
fetch "$ENDPOINT/$OUTPUT" "$DOWNLOADS/all.csv"

# The same by its id, and with a mini-batch for each file.
invoke "{
  \"properties\": {
    \"dataset\": {\"dataInputType\": \"DatasetId\", \"datasetId\": \"$IDS/datasets/digits21/versions/7\"},
    \"miniBatchSize\": \"1\",
    \"errorThreshold\": \"-1\",
  }
}"
finished

# One file by its address.
invoke "{
  \"properties\": {
    \"dataset\": {\"dataInputType\": \"DataUrl\", \"Path\": \"$CONTAINER_URL/rest21/data/6.txt\"},
    \"outputDataset\": {\"datastoreId\": \"$DATASTORE_ID\", \"path\": \"$ENDPOINT\"},
    \"outputFileName\": \"one.csv\"
  }
}" "azureml-model-deployment: nonmlflowdp"
finished
fetch "$ENDPOINT/one.csv" "$DOWNLOADS/one.csv"

# The same request twice is one job.
for _ in 1 2; do
  invoke "{\"properties\": {\"dataset\": {\"dataInputType\": \"DatasetVersion\", \"datasetName\": \"digits21\", \"datasetVersion\": \"7\"}}}" \
    "repeatability_request-id: 5f1d0d5e-0000-4000-8000-$ENDPOINT"
done
finished

curl --silent --fail-with-body "$SCORING_URI?deployment=nonmlflowdp" --header "Authorization: Bearer $SCORING_TOKEN" |
  jq -r '.value[].properties.status' | sort | uniq -c > "$DOWNLOADS/statuses.txt"
management DELETE "batchEndpoints/$ENDPOINT?api-version=$API_VERSION"
management GET "jobs/$JOB?api-version=$API_VERSION" | jq -r '.properties.status'
