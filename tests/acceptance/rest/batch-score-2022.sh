# The REST sequence since 2022: blobs are sent with a shared access signature, inputs are named.
. "$(dirname "$0")/calls.sh"
API_VERSION=2022-05-01
ENDPOINT=batch-rest-$RANDOM

# send FILE BLOB
send() {
  curl --silent --show-error --fail-with-body --request PUT "$CONTAINER_URL/$2?$SAS" \
    --header "x-ms-blob-type: BlockBlob" --header "x-ms-version: 2021-08-06" --upload-file "$1" > /dev/null
}

# send_folder FOLDER PREFIX
send_folder() {
  local file
  for file in "$1"/*; do send "$file" "$2/$(basename "$file")"; done
}

answer=$(management PUT "computes/batch-cluster?api-version=$API_VERSION" '{
  "properties": {
    "computeType": "AmlCompute",
    "properties": {
      "osType": "Linux",
      "vmSize": "STANDARD_D2_V2",
      "scaleSettings": {"maxNodeCount": 5, "minNodeCount": 0},
      "remoteLoginPortPublicAccess": "NotSpecified"
    },
  },
  "location": "local"
}')
operation_of "$answer"

default_datastore $API_VERSION
SAS=$(management POST "datastores/$DATASTORE/listSecrets?api-version=2024-10-01-preview" '{"expirableSecret": true}' | jq -r '.sasToken')
SAS=${SAS#\?}

send_folder "$FILES/code" rest/code
answer=$(management PUT "codes/score-mnist/versions/1?api-version=$API_VERSION" "{
  \"properties\": {
    \"description\": \"Score code\",
    \"codeUri\": \"$CONTAINER_URL/rest/code\"
  }
}")
operation_of "$answer"

send_folder "$FILES/model" rest/model
management PUT "models/mnist/versions/1?api-version=$API_VERSION" "{
  \"properties\": {
    \"modelUri\": \"azureml://subscriptions/$SUBSCRIPTION_ID/resourceGroups/$RESOURCE_GROUP/workspaces/$WORKSPACE/datastores/$DATASTORE/paths/rest/model\",
  }
}" | jq -e '.properties.flavors == {}' > /dev/null

management PUT "environments/mnist-env/versions/$RANDOM?api-version=$API_VERSION" "{
  \"properties\": {
    \"condaFile\": $(jq -Rs . < "$FILES/conda.yml"),
    \"image\": \"mcr.microsoft.com/azureml/openmpi3.1.2-ubuntu18.04:latest\"
  }
}" > /dev/null
ENVIRONMENT_ID=$(management GET "environments/mnist-env/versions?api-version=$API_VERSION&\$orderBy=createdtime%20desc&\$top=1" | jq -r '.value[0].id')

answer=$(management PUT "batchEndpoints/$ENDPOINT?api-version=$API_VERSION" '{
  "properties": {"authMode": "aadToken"},
  "location": "local"
}')
operation_of "$answer"

answer=$(management PUT "batchEndpoints/$ENDPOINT/deployments/nonmlflowedp?api-version=$API_VERSION" "{
  \"location\": \"local\",
  \"properties\": {
    \"model\": {
      \"referenceType\": \"Id\",
      \"assetId\": \"/subscriptions/$SUBSCRIPTION_ID/resourceGroups/$RESOURCE_GROUP/providers/Microsoft.MachineLearningServices/workspaces/$WORKSPACE/models/mnist/versions/1\"
    },
    \"codeConfiguration\": {
      \"codeId\": \"/subscriptions/$SUBSCRIPTION_ID/resourceGroups/$RESOURCE_GROUP/providers/Microsoft.MachineLearningServices/workspaces/$WORKSPACE/codes/score-mnist/versions/1\",
      \"scoringScript\": \"digits.py\"
    },
    \"environmentId\": \"$ENVIRONMENT_ID\",
    \"compute\": \"/subscriptions/$SUBSCRIPTION_ID/resourceGroups/$RESOURCE_GROUP/providers/Microsoft.MachineLearningServices/workspaces/$WORKSPACE/computes/batch-cluster\",
    \"resources\": {
      \"instanceCount\": 1
    },
    \"maxConcurrencyPerInstance\": \"2\",
    \"retrySettings\": {
      \"maxRetries\": 3,
      \"timeout\": \"PT30S\"
    },
    \"errorThreshold\": \"10\",
    \"loggingLevel\": \"info\",
    \"miniBatchSize\": \"5\",
  }
}")
operation_of "$answer"

# The default is set by sending the endpoint again.
answer=$(management PUT "batchEndpoints/$ENDPOINT?api-version=$API_VERSION" '{
  "properties": {
    "authMode": "aadToken",
    "defaults": {"deploymentName": "nonmlflowedp"}
  },
  "location": "local"
}')
operation_of "$answer"
SCORING_URI=$(management GET "batchEndpoints/$ENDPOINT?api-version=$API_VERSION" | jq -r '.properties.scoringUri')

send_folder "$FILES/data" rest/data
answer=$(management PUT "datasets/mnist/versions/1?api-version=$API_VERSION" "{
  \"properties\": {
    \"paths\": [{\"folder\": \"azureml://datastores/$DATASTORE/paths/rest/data\"},],
  }
}")
operation_of "$answer"
DATA_ID=$(management GET "data/mnist/versions/labels/latest?api-version=$API_VERSION" | jq -r '.id')

# A registered folder, by its id.
invoke "{
  \"properties\": {
    \"InputData\": {
      \"mnistInput\": {
        \"JobInputType\": \"UriFolder\",
        \"Uri\": \"$DATA_ID\"
      }
    }
  }
}"
finished

# The same by an asset URL in the form of 2021, as the script of today does it.
invoke "{
  \"properties\": {
    \"dataset\": {
      \"dataInputType\": \"DataUrl\",
      \"Path\": \"azureml://subscriptions/$SUBSCRIPTION_ID/resourcegroups/$RESOURCE_GROUP/workspaces/$WORKSPACE/data/mnist/versions/1\"
    }
  }
}"
finished

# One file, and an output of its own with everything overridden.
invoke "{
  \"properties\": {
    \"InputData\": {
      \"mnistInput\": {
        \"JobInputType\": \"UriFile\",
        \"Uri\": \"azureml://datastores/$DATASTORE/paths/rest/data/6.txt\"
      }
    },
    \"OutputData\": {
      \"mnistOutput\": {
        \"JobOutputType\": \"UriFile\",
        \"Uri\": \"azureml://datastores/$DATASTORE/paths/$ENDPOINT/one.csv\"
      }
    },
    \"retrySettings\": {\"maxRetries\": 1, \"timeout\": \"PT1M\"},
    \"miniBatchSize\": \"20\",
    \"compute\": {\"instanceCount\": \"1\", \"isLocal\": true}
  }
}" "azureml-model-deployment: nonmlflowedp"
finished
curl --silent --fail-with-body "$CONTAINER_URL/$ENDPOINT/one.csv?$SAS" > "$DOWNLOADS/one.csv"

# A folder as the output, with the name of the file beside it.
invoke "{
  \"properties\": {
    \"InputData\": {\"in\": {\"JobInputType\": \"UriFolder\", \"Uri\": \"azureml://datastores/$DATASTORE/paths/rest/data/\"}},
    \"OutputData\": {\"out\": {\"JobOutputType\": \"UriFolder\", \"Uri\": \"$DATASTORE_ID/paths/$ENDPOINT/folder\"}},
    \"outputFileName\": \"all.csv\"
  }
}"
finished
curl --silent --fail-with-body "$CONTAINER_URL/$ENDPOINT/folder/all.csv?$SAS" > "$DOWNLOADS/all.csv"

# Who has changed their mind cancels.
invoke "{\"properties\": {\"name\": \"unwanted-$RANDOM\", \"InputData\": {\"in\": {\"JobInputType\": \"UriFolder\", \"Uri\": \"$DATA_ID\"}}}}"
management POST "jobs/$JOB/cancel?api-version=2023-04-01-preview"
CANCELED=$(finished) && false
[[ $CANCELED == Canceled* ]]

management GET "batchEndpoints/$ENDPOINT/jobs?api-version=$API_VERSION" | jq -r '.value[].properties.status' | sort | uniq -c > "$DOWNLOADS/statuses.txt"
management DELETE "batchEndpoints/$ENDPOINT?api-version=$API_VERSION"
management GET "jobs/$JOB?api-version=$API_VERSION" | jq -r '.properties.status'
